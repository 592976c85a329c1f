"""The form of the page Account."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.models import Account


class AccountForm(ConcurrentEdits, forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = Account
        fields = ["name"]
        labels = {"name": _("Company name")}
        error_messages = {"name": {"required": _("Enter the company name.")}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["autocomplete"] = "organization"
