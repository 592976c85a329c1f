"""The form that says who gets the tokens."""

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.members.forms import NO_RECEIVER
from accounts.people.candidates import among_receivers, receivers_of
from accounts.people.forms import PersonField
from accounts.roles import Role


class HandoverForm(forms.Form):
    to = PersonField(
        label=_("Hand over to"),
        shows_first=True,
        required=True,
        error_messages={
            "required": _("Choose who gets the API tokens."),
            "invalid_choice": NO_RECEIVER,
        },
    )

    def __init__(self, sent: QueryDict | None, *, account_id: int, role: Role) -> None:
        """`role` is that of the strongest of the tokens."""
        super().__init__(sent)
        members = receivers_of(role, account_id=account_id)
        self.fields["to"].offer(members, account_id=account_id, among=among_receivers(role))  # type: ignore[attr-defined]  # a PersonField
