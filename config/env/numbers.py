"""Reads numbers as operators write them."""

from django.core.exceptions import ImproperlyConfigured


def parse_number(name: str, text: str, *, highest: int) -> int:
    """Read a number from 1 to `highest`; `name` is the variable that it comes from."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= highest):
        raise ImproperlyConfigured(f"{name} must be a number from 1 to {highest}, not {text!r}.")
    return int(text)
