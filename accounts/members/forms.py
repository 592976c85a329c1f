"""Forms about members: a role, a removal."""

from typing import NamedTuple

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.roles import Role


class RoleChoice(NamedTuple):
    """One role of a form: `value` is its id."""

    value: int
    label: str
    explanation: str
    checked: bool


class RoleForm(forms.Form):
    """The role of a member. Every role is understood here; the verb decides."""

    role = forms.TypedChoiceField(
        label=_("Role"),
        choices=Role.choices,
        coerce=lambda value: Role(int(value)),
        error_messages={
            "required": _("Choose a role."),
            "invalid_choice": _("Choose a role from the list."),
        },
    )

    @property
    def role_choices(self) -> list[RoleChoice]:
        chosen = str(self["role"].value() or "")
        return [
            RoleChoice(role.value, role.label, role.explanation, str(role.value) == chosen)
            for role in Role
        ]


class RemovalForm(forms.Form):
    """What becomes of the API tokens of somebody who goes."""

    delete_tokens = forms.BooleanField(required=False)
