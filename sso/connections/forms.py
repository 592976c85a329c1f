"""Forms of the single sign-on pages. The rules are in the services."""

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.members.forms import RoleSelect
from accounts.roles import Role
from sso.models import Connection
from sso.saml import metadata
from sso.saml.metadata_fetch import fetch_metadata


class ProviderForm(forms.Form):
    """The provider's metadata as text, file or URL. A valid form has them parsed in `metadata`."""

    text = forms.CharField(
        label=_("Metadata as text"),
        required=False,
        max_length=metadata.MAX_BYTES,
        widget=forms.Textarea(
            {"rows": "10", "spellcheck": "false", "autocomplete": "off", "class": "code-field"}
        ),
        help_text=_("The complete XML document. It begins with EntityDescriptor."),
        error_messages={
            "max_length": _(
                "This is too large for the metadata of one provider. Paste only your provider's "
                "part."
            )
        },
    )
    file = forms.FileField(
        label=_("Or upload a file"),
        required=False,
        allow_empty_file=True,
        widget=forms.FileInput({"accept": ".xml,application/xml,text/xml"}),
    )
    url = forms.CharField(
        label=_("Or fetch it from a URL"),
        required=False,
        max_length=metadata.MAX_URL_LENGTH,
        widget=forms.TextInput({"type": "url", "autocomplete": "off", "placeholder": "https://"}),
    )
    keep_certificates = forms.BooleanField(
        label=_("Keep the current certificates alongside the new ones until they expire"),
        required=False,
    )

    def __init__(
        self, *args: Any, has_certificates: bool, asked_at: datetime, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.asked_at = asked_at
        if not settings.SSO_METADATA_ORIGINS:
            del self.fields["url"]
        else:
            origins = ", ".join(settings.SSO_METADATA_ORIGINS)
            self.fields["url"].help_text = _t("Fetched once, now. Allowed: %(origins)s") % {
                "origins": origins
            }
        if not has_certificates:
            del self.fields["keep_certificates"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        given = [name for name in ("text", "file", "url") if cleaned.get(name)]
        if len(given) != 1:
            self.add_error(given[-1] if given else "text", self._wrong_number(given))
            return cleaned
        try:
            self.metadata = metadata.parse_metadata(
                self._document(given[0], cleaned), base_url=settings.BASE_URL, at=self.asked_at
            )
        except ValidationError as refusal:
            self.add_error(given[0], refusal)
        return cleaned

    def _wrong_number(self, given: list[str]) -> ValidationError:
        if given:
            return ValidationError(
                _("Provide the metadata in one way only. Clear the other fields."), code="several"
            )
        return ValidationError(
            _("Paste the metadata of your identity provider, or choose a file."), code="required"
        )

    def _document(self, name: str, cleaned: dict[str, Any]) -> str | bytes:
        if name == "text":
            return str(cleaned["text"])
        if name == "url":
            return fetch_metadata(cleaned["url"])
        document: bytes = cleaned["file"].read(metadata.MAX_BYTES + 1)
        return document


class SettingsForm(ConcurrentEdits, forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Attribute mapping and just-in-time provisioning."""

    default_role = forms.TypedChoiceField(
        label=_("Role for new users"),
        choices=Role.choices,
        widget=RoleSelect,
        coerce=lambda value: Role(int(value)),
        help_text=_(
            "The role that new users get if the provider doesn't specify one. You can "
            "change it later."
        ),
    )

    class Meta:
        model = Connection
        fields = [
            *("name", "email_attribute", "name_attribute", "role_attribute"),
            *("takes_new_people", "default_role", "may_make_administrators"),
        ]
        labels = {
            "name": _("Name"),
            "takes_new_people": _(
                "People with addresses in approved domains can join the account by signing in"
            ),
            "may_make_administrators": _("New users can become Administrators"),
        }
        help_texts = {
            "name": _("The provider's name on these pages and at sign-in."),
            "email_attribute": _(
                "Leave empty to use the NameID, if the provider declares it to be an email address."
            ),
            "name_attribute": _("Leave empty to let people enter their own name."),
            "role_attribute": _(
                "Its values are names or IDs of roles. It is read when someone signs in for the "
                "first time; after that, change roles here."
            ),
            "may_make_administrators": "",
        }
        error_messages = {"name": {"required": _("Enter a name for the provider.")}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "email_attribute", "name_attribute", "role_attribute"):
            self.fields[name].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}

    def _post_clean(self) -> None:
        """Do not touch the instance: the service locks, changes and validates a row of its own."""


class DomainForm(forms.Form):
    """A domain to request."""

    name = forms.CharField(
        label=_("Domain"),
        max_length=260,
        error_messages={"required": _("Enter a domain, such as example.com.")},
        widget=forms.TextInput(
            {
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "placeholder": "example.com",
                "inputmode": "url",
            }
        ),
        help_text=_("Subdomains are not included: request them separately."),
    )
