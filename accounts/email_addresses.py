"""Normalizes e-mail addresses: one spelling is stored and compared, at every entry point."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from notifications.links import redact

LONGEST = 254
SERVICE_ACCOUNTS = "service-accounts.invalid"
"""The domain of the addresses that service accounts have in the API. No mail can reach it (RFC
2606), and nobody can have one of them."""
SURROUNDING = " \t\r\n\xa0\u200b\ufeff"
"""What is copied along with an address, a token or a key, and is no part of any."""


def normal_email(text: str) -> str:
    """The address in lower case, without surrounding space.

    Raises `ValidationError`, also for other scripts: their letters look like Latin ones, and an
    address that only looks like a colleague's must not be accepted.
    """
    email = text.strip(SURROUNDING)
    if not email.isascii():
        raise ValidationError(
            _("Use only unaccented Latin letters in the address."),
            code="not_ascii",
        )
    validate_email(email)
    if not email.isprintable():  # between quotes the standard has control characters
        raise ValidationError(validate_email.message, code=validate_email.code)
    if len(email) > LONGEST:
        raise ValidationError(
            _("This address is too long. Use at most %(limit)d characters."),
            code="max_length",
            params={"limit": LONGEST},
        )
    email = email.lower()
    if redact(email) != email:
        raise ValidationError(
            _("Remove the token from this text: other people can read it."), code="token"
        )
    if email.endswith(f"@{SERVICE_ACCOUNTS}"):
        raise ValidationError(validate_email.message, code=validate_email.code)
    return email


def known_email(text: str) -> str | None:
    """The address as it would be stored, or None for text that is no address."""
    try:
        return normal_email(text)
    except ValidationError:
        return None
