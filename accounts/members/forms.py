"""Forms about members: their role, and their removal."""

from datetime import datetime
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.authorization.actor import Actor
from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.members import services as members
from accounts.models import Membership
from accounts.roles import Role
from accounts.tenancy.forms import MemberField


class RoleChoice(NamedTuple):
    """A role as a choice of a form; `value` is its id."""

    value: int
    label: str
    explanation: str
    checked: bool


class RoleSelect(forms.Select):
    """A select of roles. Their names are English in every language, and say so to screen readers.
    What stands for no role is a word of the page."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        return option | {"attrs": option["attrs"] | ({"lang": "en"} if value else {})}


class RoleForm(ConcurrentEdits, forms.Form):
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
    """What becomes of the API tokens of a leaving member: they are deleted, or handed over."""

    shown = forms.CharField(required=False)
    delete_tokens = forms.BooleanField(required=False)
    hand_over_to = MemberField(
        label=_("Hand the API tokens over to"),
        queryset=Membership.objects.none(),
        to_field_name="user_id",
        required=False,
        empty_label=_("No one"),
        help_text=_("They keep working, with the same secrets."),
        error_messages={"invalid_choice": _("Choose who gets the API tokens from the list.")},
    )

    def __init__(self, *args: Any, receivers: QuerySet[Membership] | None = None) -> None:
        super().__init__(*args)
        if receivers is not None:
            self.fields["hand_over_to"].queryset = receivers  # type: ignore[attr-defined]  # a MemberField

    def clean(self) -> None:
        cleaned = self.cleaned_data
        if cleaned.get("delete_tokens") and cleaned.get("hand_over_to"):
            raise forms.ValidationError(
                _("Choose whether to hand the API tokens over or to delete them, not both.")
            )

    def remove(self, membership: Membership, *, by: Actor, at: datetime) -> str:
        """Remove the member as the form says. Returns why it is refused, "" if it is not."""
        if not self.is_valid():
            return " ".join(str(error) for errors in self.errors.values() for error in errors)
        try:
            members.remove_member(
                membership=membership,
                delete_tokens=self.cleaned_data["delete_tokens"],
                hand_over_to=self.cleaned_data["hand_over_to"],
                shown=self.cleaned_data["shown"] or None,
                by=by,
                at=at,
            )
        except PermissionDenied as refused:
            return str(refused)
        except ValidationError as refused:
            return " ".join(refused.messages)
        return ""
