"""The part of a token's forms that limits it to addresses."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from apitokens.addresses.rules import MOST, AddressesRead, in_parts, read

EVERYWHERE = "everywhere"
LONGEST_LIST = 4_000
"""Characters: more than twenty entries can have."""


class AddressesForm(forms.Form):
    """From where a token works. A list that allows all addresses has to be meant."""

    allowed_addresses = forms.CharField(
        label=_("Allowed addresses"),
        max_length=LONGEST_LIST,
        required=False,
        error_messages={
            "max_length": _("Enter at most %(most)d addresses and networks.") % {"most": MOST},
        },
        widget=forms.Textarea(
            {
                "rows": 4,
                "class": "address",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "dir": "ltr",
            }
        ),
        help_text=_(
            "One IPv4 or IPv6 address or network a line, for example 203.0.113.7 or 2001:db8::/48, "
            "up to 20. Elsewhere the token is rejected. Leave empty to allow all addresses."
        ),
    )
    is_everywhere = forms.BooleanField(label=_("Yes, allow all these addresses"), required=False)

    present_addresses = ""
    """The list of the token as it is; what stands in it has been meant."""
    read: AddressesRead | None = None

    def clean_allowed_addresses(self) -> list[str]:
        self.read = read(in_parts(self.cleaned_data["allowed_addresses"]))
        everywhere = self.read.everywhere
        if everywhere and not self._is_meant and self.read.text != self.present_addresses:
            raise ValidationError(
                _t(
                    "%(list)s allows all such addresses. If you mean it, check the box below the "
                    "list, then send the form again."
                ),
                code=EVERYWHERE,
                params={"list": ", ".join(everywhere)},
            )
        return self.read.entries

    @property
    def asks_about_everywhere(self) -> bool:
        """True if the box has to be shown."""
        return self.is_bound and (self.has_error("allowed_addresses", EVERYWHERE) or self._is_meant)

    @property
    def has_addresses(self) -> bool:
        """True if the part has to be open."""
        return bool(self["allowed_addresses"].value() or self["allowed_addresses"].errors)

    @property
    def left_out(self) -> list[str]:
        """Sentences about entries that were left out."""
        return [
            _t("%(entry)s is part of %(by)s, so it isn't listed by itself.")
            % {"entry": each.left_out, "by": each.by}
            for each in (self.read.contained if self.read else [])
        ]

    @property
    def _is_meant(self) -> bool:
        field: Any = self.fields["is_everywhere"]
        name = self.add_prefix("is_everywhere")
        return bool(field.widget.value_from_datadict(self.data, self.files, name))
