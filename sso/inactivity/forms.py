"""The form of the inactivity policy."""

from django import forms
from django.utils.translation import gettext_lazy as _

from sso.models import IDLE_DAYS_HIGHEST, IdleAction


class AbsenceForm(forms.Form):
    """What becomes of API tokens of people who stay away from the provider."""

    action = forms.TypedChoiceField(
        label=_("When somebody with API tokens stays away"),
        choices=IdleAction.choices,
        coerce=IdleAction,
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose what is to happen."),
            "invalid_choice": _("Choose what is to happen from the list."),
        },
    )
    days = forms.IntegerField(
        label=_("After how many days without a sign-in through the provider"),
        min_value=1,
        max_value=IDLE_DAYS_HIGHEST,
        help_text=_("From 1 to 365."),
    )
