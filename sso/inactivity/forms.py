"""The form of the inactivity policy."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.http.concurrent_edits import ConcurrentEdits
from sso.models import MAX_INACTIVITY_DAYS, InactivityAction


class InactivityPolicyForm(ConcurrentEdits, forms.Form):
    """The action and the number of days."""

    action = forms.TypedChoiceField(
        label=_("When someone with API tokens stops signing in"),
        choices=InactivityAction.choices,
        coerce=InactivityAction,
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose what should happen."),
            "invalid_choice": _("Choose what should happen from the list."),
        },
    )
    days = forms.IntegerField(
        label=_("Number of days without a sign-in through the provider"),
        min_value=1,
        max_value=MAX_INACTIVITY_DAYS,
        help_text=_("From 1 to 365."),
    )
