"""The form of the inactivity policy."""

from django import forms
from django.utils.translation import gettext_lazy as _

from sso.models import MAX_INACTIVITY_DAYS, InactivityAction


class InactivityPolicyForm(forms.Form):
    """The action and the number of days."""

    action = forms.TypedChoiceField(
        label=_("When somebody with API tokens stays away"),
        choices=InactivityAction.choices,
        coerce=InactivityAction,
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose what is to happen."),
            "invalid_choice": _("Choose what is to happen from the list."),
        },
    )
    days = forms.IntegerField(
        label=_("After how many days without a sign-in through the provider"),
        min_value=1,
        max_value=MAX_INACTIVITY_DAYS,
        help_text=_("From 1 to 365."),
    )
