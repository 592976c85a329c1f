"""The forms of a service: its code and name, and a row for each scope."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.validators import validate_line, validate_visible
from apitokens.models import LONGEST_CODE, Service, validate_code
from apitokens.scopes.services import MOST_SCOPES, ScopeFacts

EMPTY_ROWS = 3


class NamedForm(forms.Form):
    """A name, and the same in other languages."""

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        validators=[validate_line, validate_visible],
        error_messages={"required": _("Enter a name.")},
        widget=forms.TextInput({"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for code, label in settings.LANGUAGES:
            widget = forms.TextInput({"autocomplete": "off", "lang": code})
            self.fields[f"name_{code}"] = forms.CharField(
                label=label,
                max_length=100,
                required=False,
                validators=[validate_line, validate_visible],
                widget=widget,
            )

    @property
    def other_names(self) -> list[forms.BoundField]:
        return [self[f"name_{code}"] for code, _label in settings.LANGUAGES]

    @property
    def has_other_names(self) -> bool:
        return any(field.value() or field.errors for field in self.other_names)

    @property
    def names(self) -> dict[str, str]:
        return {
            code: self.cleaned_data.get(f"name_{code}", "") for code, _label in settings.LANGUAGES
        }


def _code(help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=_("Code"),
        max_length=LONGEST_CODE,
        validators=[validate_code],
        error_messages={"required": _("Enter a code.")},
        help_text=help_text,
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        ),
    )


class ServiceForm(ConcurrentEdits, NamedForm):
    """A service. Its code stays as it is: tokens have it in their scopes."""

    code = _code(_("Part of each scope, such as cdn in cdn:purge. It can't be changed later."))
    field_order = ["code", "name"]

    def __init__(self, *args: Any, service: Service | None = None, **kwargs: Any) -> None:
        super().__init__(*args, initial=_as_it_is(service), **kwargs)
        if service is not None:
            del self.fields["code"]


class ScopeForm(NamedForm):
    """A scope; a row without code and name is none."""

    code = _code()
    field_order = ["code", "name"]

    @property
    def facts(self) -> ScopeFacts:
        return ScopeFacts(self.cleaned_data["code"], self.cleaned_data["name"], self.names)


class BaseScopeForms(forms.BaseFormSet):  # type: ignore[type-arg]  # generic in the stubs only
    """The rows. Those that are empty, also if they were not before, are left out."""

    def add_fields(self, form: ScopeForm, index: int | None) -> None:
        super().add_fields(form, index)
        sent = [form.add_prefix("code"), form.add_prefix("name")]
        form.empty_permitted = not any(str(form.data.get(name) or "").strip() for name in sent)
        if form.is_bound and form.empty_permitted:
            form.has_changed = lambda: False  # type: ignore[method-assign]  # of this row

    @property
    def facts(self) -> list[ScopeFacts]:
        return [form.facts for form in self.forms if form.cleaned_data.get("code")]


ScopeForms = forms.formset_factory(
    ScopeForm,
    formset=BaseScopeForms,
    extra=EMPTY_ROWS,
    max_num=MOST_SCOPES,
    absolute_max=MOST_SCOPES + EMPTY_ROWS,
    validate_max=True,
)


def rows_of(service: Service | None) -> list[dict[str, Any]]:
    """The first values of the rows."""
    return [_as_it_is(each) for each in service.scopes.all()] if service else []


def _as_it_is(named: Any) -> dict[str, Any]:
    if named is None:
        return {}
    names = {f"name_{code}": text for code, text in named.names.items()}
    return {"code": named.code, "name": named.name, **names}
