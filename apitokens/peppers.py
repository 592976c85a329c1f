"""The ring of peppers that digests of API tokens are keyed with, and values to check secrets by."""

import hmac
from hashlib import sha256

from django.conf import settings

_LABEL = b"permatoken: check value of a pepper"
_SECRET_KEY_LABEL = b"permatoken: check value of SECRET_KEY"


def current_pepper() -> int:
    """The number of the pepper that new digests use: the first one listed."""
    return next(iter(settings.TOKEN_PEPPERS))


def check_value(pepper: bytes) -> bytes:
    """32 bytes by which a pepper is known again, and from which it cannot be found."""
    return hmac.digest(pepper, _LABEL, sha256)


def secret_key_check_value(secret_key: str) -> bytes:
    """As `check_value`, for `SECRET_KEY` and its fallbacks."""
    return hmac.digest(secret_key.encode(), _SECRET_KEY_LABEL, sha256)
