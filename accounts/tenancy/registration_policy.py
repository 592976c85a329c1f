"""Whether strangers may open accounts."""

from django.conf import settings


def is_open_for_sign_up() -> bool:
    """True if strangers may open an account of their own."""
    return bool(settings.SIGN_UP == "open")
