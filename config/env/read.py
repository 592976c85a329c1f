"""Reads single environment variables, each by a function named like its type.

Every value is taken as it is written (a `$` is a `$`), or refused in one sentence at the start of
every process. Secrets may stand in files (`config.env.given`).
"""

from django.core.exceptions import ImproperlyConfigured

from config.env.given import given
from config.env.numbers import parse_decimal, parse_number
from config.env.variables import VARIABLES

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def text(name: str, *, default: str = "") -> str:
    """The value; the default also for an empty one, as Compose's `${NAME:-}` passes on."""
    return given(_listed(name)) or default


def texts(name: str, *, default: list[str] | None = None) -> list[str]:
    """A list, separated by commas; spaces around an item are not part of it."""
    items = [item.strip() for item in text(name).split(",")]
    return [item for item in items if item] or list(default or [])


def flag(name: str, *, default: bool = False) -> bool:
    word = text(name, default=str(default)).strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise ImproperlyConfigured(f"{name} must be true or false, not {word!r}.")
    return word in _TRUE


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
    if name not in VARIABLES:
        raise LookupError(f"Add {name} to config/env/variables.py.")
    return name
