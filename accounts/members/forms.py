"""Forms about members: their role, and their removal."""

from datetime import datetime
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.forms import BoundField
from django.utils.translation import gettext_lazy as _

from accounts.authorization import token_hooks
from accounts.authorization.actor import Actor
from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.members import services as members
from accounts.models import Membership
from accounts.people.candidates import among_receivers, receivers_of
from accounts.people.forms import PersonField
from accounts.roles import Role

NO_RECEIVER = _(
    "No one who can get these API tokens matches. Check the name or email, and the role."
)


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
    hand_over_to = PersonField(
        label=_("Hand the API tokens over to"),
        shows_first=True,
        help_text=_("They keep working, with the same secrets."),
        error_messages={"invalid_choice": NO_RECEIVER},
    )

    def __init__(
        self, *args: Any, leaving: Membership | None = None, at: datetime | None = None
    ) -> None:
        """Without `leaving` nobody is offered the tokens."""
        super().__init__(*args)
        self.receivers: BoundField | None = None
        """The field, if the tokens of this member can have another issuer."""
        role = token_hooks.strongest_role(leaving.pk, at) if leaving and at else None
        if leaving is None or role is None:
            return
        account_id, among = leaving.account_id, among_receivers(role, without=leaving.user_id)
        members = receivers_of(role, account_id=account_id).exclude(pk=leaving.pk)
        self.fields["hand_over_to"].offer(members, account_id=account_id, among=among)  # type: ignore[attr-defined]  # a PersonField
        if members.exists():
            self.receivers = self["hand_over_to"]

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
