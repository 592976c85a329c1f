"""The model field of text that people write."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.expressions import Combinable

from accounts.text.folding import normal_text

if TYPE_CHECKING:  # generic in the stubs only
    _CharField = models.CharField[str | int | Combinable, str]
else:
    _CharField = models.CharField


class WrittenField(_CharField):
    """A line or paragraph in composed form (NFC), however it was typed: forms, the API, commands
    and identity providers all store through a field of a model, and so does what they compare."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return normal_text(text) if isinstance(text, str) else text

    def get_prep_value(self, value: Any) -> Any:
        """What goes to the database, also from code that validates nothing."""
        return super().get_prep_value(self.to_python(value))

    def deconstruct(self) -> Any:
        """As a CharField, which it is for the database."""
        name, _path, args, facts = super().deconstruct()
        return name, "django.db.models.CharField", args, facts
