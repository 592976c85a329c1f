"""The form by which a person chooses how the list of tokens looks."""

from django import forms

from apitokens.models import Density
from apitokens.preferences import services as preferences


class ViewForm(forms.Form):
    """One change: a column is shown or hidden, or the rows get another height."""

    show = forms.ChoiceField(choices=preferences.CHOICES.items, required=False)
    hide = forms.ChoiceField(choices=preferences.CHOICES.items, required=False)
    density = forms.ChoiceField(choices=Density.choices, required=False)

    def changed(self, before: preferences.Preferences) -> preferences.Preferences:
        cleaned = self.cleaned_data
        columns = {*before.columns, cleaned["show"]} - {cleaned["hide"]}
        return preferences.Preferences(
            tuple(columns), Density(cleaned["density"] or before.density)
        )
