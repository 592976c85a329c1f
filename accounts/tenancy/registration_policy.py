"""Policy of sign-up: open to everybody, or by invitation only."""

from django.conf import settings


def is_open_for_sign_up() -> bool:
    """True if everybody may open an account of their own."""
    return bool(settings.SIGN_UP == "open")
