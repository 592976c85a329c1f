"""Parses numbers with bounds."""

import re

from django.core.exceptions import ImproperlyConfigured

_HUGE = 999_999_999
_DECIMAL = re.compile(r"[0-9]{1,9}([.,][0-9]{1,9})?")


def parse_number(name: str, text: str, *, lowest: int = 1, highest: int | None = None) -> int:
    """Read a whole number within bounds; `name` is the variable that it comes from."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_HUGE))
    if not (is_number and lowest <= int(text) <= (highest or _HUGE)):
        raise _refusal(name, text, lowest, highest)
    return int(text)


def parse_decimal(name: str, text: str, *, lowest: float, highest: float) -> float:
    """Read a number such as 0.5 within bounds."""
    is_number = _DECIMAL.fullmatch(text) is not None
    if not (is_number and lowest <= float(text.replace(",", ".")) <= highest):
        raise _refusal(name, text, lowest, highest)
    return float(text.replace(",", "."))


def _refusal(name: str, text: str, lowest: float, highest: float | None) -> ImproperlyConfigured:
    end = "on" if highest is None else f"to {highest}"
    return ImproperlyConfigured(f"{name} must be a number from {lowest} {end}, not {text!r}.")
