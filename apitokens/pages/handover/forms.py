"""The form that says who gets the tokens."""

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.models import Membership
from accounts.tenancy.forms import MemberField


class HandoverForm(forms.Form):
    to = MemberField(
        label=_("Hand over to"),
        queryset=Membership.objects.none(),
        to_field_name="user_id",
        empty_label=_("Choose"),
        error_messages={
            "required": _("Choose who gets the API tokens."),
            "invalid_choice": _("Choose who gets the API tokens from the list."),
        },
    )

    def __init__(self, sent: QueryDict | None, *, receivers: QuerySet[Membership]) -> None:
        super().__init__(sent)
        self.fields["to"].queryset = receivers  # type: ignore[attr-defined]  # a MemberField
