"""Reads single environment variables, each by a function named like its type.

A value that cannot be used is refused in one sentence at the start of every process.
"""

import environ
from django.core.exceptions import ImproperlyConfigured

from config.env.numbers import parse_decimal, parse_number
from config.env.variables import READ_BY_SETTINGS

_env = environ.Env()


def text(name: str, *, default: str = "") -> str:
    return str(_env.str(_listed(name), default=default))


def texts(name: str, *, default: list[str] | None = None) -> list[str]:
    """A list, separated by commas."""
    return list(_env.list(_listed(name), default=default or []))


def flag(name: str, *, default: bool = False) -> bool:
    return bool(_env.bool(_listed(name), default=default))


def number(name: str, *, default: int, lowest: int = 0, highest: int | None = None) -> int:
    return parse_number(name, text(name, default=str(default)), lowest=lowest, highest=highest)


def decimal(name: str, *, default: float, lowest: float, highest: float) -> float:
    return parse_decimal(name, text(name, default=str(default)), lowest=lowest, highest=highest)


def choice(name: str, *choices: str) -> str:
    """One of several words; the first is the default."""
    chosen = text(name, default=choices[0])
    if chosen not in choices:
        *others, last = choices
        raise ImproperlyConfigured(f"{name} must be {', '.join(others)} or {last}.")
    return chosen


def _listed(name: str) -> str:
    if name not in READ_BY_SETTINGS:
        raise LookupError(f"Add {name} to config/env/variables.py.")
    return name
