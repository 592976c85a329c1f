"""The model field of text that people write."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.expressions import Combinable
from django.db.models.query_utils import DeferredAttribute

from accounts.text.folding import normal_text

if TYPE_CHECKING:  # generic in the stubs only
    _CharField = models.CharField[str | int | Combinable, str]
else:
    _CharField = models.CharField


class _ComposedAttribute(DeferredAttribute):
    """Composes what is assigned, so that what a service has in hand is what will be stored."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = _composed(value)


class WrittenField(_CharField):
    """A line or paragraph in composed form (NFC), however it was typed: forms, the API, commands
    and identity providers all store through a field of a model, and so does what they compare."""

    descriptor_class = _ComposedAttribute

    def to_python(self, value: Any) -> Any:
        return _composed(super().to_python(value))

    def get_prep_value(self, value: Any) -> Any:
        """What is compared with the database, or stored there without an instance."""
        return _composed(super().get_prep_value(value))

    def deconstruct(self) -> Any:
        """As a CharField, which it is for the database."""
        name, _path, args, facts = super().deconstruct()
        return name, "django.db.models.CharField", args, facts


def _composed(value: Any) -> Any:
    return normal_text(value) if isinstance(value, str) else value
