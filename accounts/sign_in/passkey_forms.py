"""Forms of passkeys. Malformed credentials are refused with a sentence instead of an error 500."""

import struct
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from django import forms
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from fido2.utils import websafe_decode
from fido2.webauthn import AuthenticationResponse, CollectedClientData

from accounts.http.session_backend import LIFE
from accounts.text.folding import normal_text
from accounts.validators import validate_line, validate_visible

LONGEST_CREDENTIAL = 64 * 1024
UNREADABLE = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    struct.error,
    InvalidSignature,
    UnsupportedAlgorithm,
)
"""Exceptions of decoding JSON, base64, CBOR and keys that anybody may send."""
REFUSED = _("This passkey was not accepted. Try again or use another method.")


class CredentialField(forms.JSONField):
    """JSON in the shape of a credential: an object whose response is an object.

    The browser states in it which page has asked for the passkey. It has to be a page of the portal
    (`settings.PASSKEY_ORIGINS`): fido2 would take any port, and any subdomain of the host.
    """

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > LONGEST_CREDENTIAL:
            raise ValidationError(REFUSED, code="too_long")
        try:
            credential = super().to_python(value)
        except RecursionError:
            raise ValidationError(REFUSED, code="too_deep") from None
        if credential is not None and not _has_shape(credential):
            raise ValidationError(REFUSED, code="shape")
        if credential is not None and _origin(credential) not in settings.PASSKEY_ORIGINS:
            raise ValidationError(REFUSED, code="origin")
        return credential


class NameField(forms.CharField):
    """The name of a passkey, composed: allauth keeps it in JSON, and not in a field of ours."""

    def to_python(self, value: Any) -> str:
        return normal_text(super().to_python(value) or "")


class PasskeyForm(AddWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    name = NameField(required=False, max_length=60, label=_("Name"), validators=[validate_line])
    credential = CredentialField(error_messages={"required": REFUSED, "invalid": REFUSED})

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except UNREADABLE:
            raise ValidationError(REFUSED, code="unreadable") from None
        return cleaned


class PasskeyNameForm(EditWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    name = NameField(max_length=60, label=_("Name"), validators=[validate_line, validate_visible])


class _UsedMixin(forms.Form):
    credential = CredentialField(error_messages={"required": REFUSED, "invalid": REFUSED})

    def clean_credential(self) -> Authenticator:
        try:
            return super().clean_credential()  # type: ignore[misc]  # allauth's
        except UNREADABLE:
            raise ValidationError(REFUSED, code="unreadable") from None


class SecondStepPasskeyForm(_UsedMixin, AuthenticateWebAuthnForm):  # type: ignore[misc]  # as above
    pass


class PasskeyAgainForm(_UsedMixin, ReauthenticateWebAuthnForm):  # type: ignore[misc]  # as above
    pass


class SignInPasskeyForm(_UsedMixin, LoginWebAuthnForm):  # type: ignore[misc]  # as above
    """Sign-in by passkey alone, which requires user verification (a PIN or a finger).

    The challenge requires it too, but allauth keeps one challenge a session, and that of a second
    step, which does not, would be accepted.
    """

    def clean_credential(self) -> Authenticator:
        credential = self.cleaned_data["credential"]
        authenticator = super().clean_credential()
        _use_once(credential)
        data = AuthenticationResponse.from_dict(credential).response.authenticator_data
        if not data.is_user_verified():
            raise ValidationError(REFUSED, code="holder_unknown")
        return authenticator


def _use_once(credential: dict[str, Any]) -> None:
    """Refuse an answer to a challenge that was answered before: a stranger's session, in which the
    challenge is, can be brought back."""
    client_data = CollectedClientData(websafe_decode(credential["response"]["clientDataJSON"]))
    name = f"passkey-challenge:{client_data.challenge.hex()}"
    if not cache.add(name, True, timeout=2 * int(LIFE.total_seconds())):
        raise ValidationError(REFUSED, code="used")


def _has_shape(credential: object) -> bool:
    return isinstance(credential, dict) and isinstance(credential.get("response"), dict)


def _origin(credential: dict[str, Any]) -> str | None:
    """The origin of the page that asked for the passkey; None if it cannot be read."""
    try:
        client_data = CollectedClientData(websafe_decode(credential["response"]["clientDataJSON"]))
    except UNREADABLE:
        return None
    return None if client_data.cross_origin else client_data.origin
