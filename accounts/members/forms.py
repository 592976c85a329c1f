"""Forms about members: their role, and their removal."""

from typing import NamedTuple

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.roles import Role


class RoleChoice(NamedTuple):
    """A role as a choice of a form; `value` is its id."""

    value: int
    label: str
    explanation: str
    checked: bool


class RoleForm(forms.Form):
    """The role of a member. The form accepts every role; the service decides."""

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
    """Whether the API tokens of a leaving member are deleted."""

    delete_tokens = forms.BooleanField(required=False)
