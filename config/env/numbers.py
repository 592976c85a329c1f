"""Parses numbers with bounds."""

import math

from django.core.exceptions import ImproperlyConfigured

_HUGE = 999_999_999


def parse_number(name: str, text: str, *, lowest: int = 1, highest: int | None = None) -> int:
    """Read a whole number within bounds; `name` is the variable that it comes from."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_HUGE))
    if not (is_number and lowest <= int(text) <= (highest or _HUGE)):
        raise _refusal(name, text, lowest, highest)
    return int(text)


def parse_decimal(name: str, text: str, *, lowest: float, highest: float) -> float:
    """Read a number such as 0.5 within bounds."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not lowest <= number <= highest:
        raise _refusal(name, text, lowest, highest)
    return number


def _refusal(name: str, text: str, lowest: float, highest: float | None) -> ImproperlyConfigured:
    end = "on" if highest is None else f"to {highest}"
    return ImproperlyConfigured(f"{name} must be a number from {lowest} {end}, not {text!r}.")
