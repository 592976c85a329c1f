"""Limits how often one address may be refused, and how often one token may be used."""

import secrets
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.views.decorators.debug import sensitive_variables

from accounts.bounded_dict import evict_oldest
from accounts.throttling import process_counters
from accounts.throttling.process_counters import Counter, TooMany
from apitokens import keys

RECENTLY_VALID_FOR = timedelta(hours=1)
MOST_RECENTLY_VALID = 10_000

_BUSY_TOKEN = "This API token is used too often. Wait, then send fewer requests a minute."  # noqa: S105

uses = Counter("uses")
_recently_valid: dict[bytes, datetime] = {}
_process_key = secrets.token_bytes(keys.DIGEST_BYTES)


def count_use(token_id: int, *, at: datetime) -> None:
    """Count a use of a good token. Raises `TooMany` above `TOKEN_RATE` a minute."""
    most = _token_rate()
    if most and uses.add(str(token_id), at=at) > most:
        raise TooMany(_BUSY_TOKEN, at)


def refuse_busy_token(token_id: int, *, at: datetime) -> None:
    """Raises `TooMany` for a token whose uses of this minute are spent, before work is done."""
    most = _token_rate()
    if most and uses.count(str(token_id), at=at) >= most:
        raise TooMany(_BUSY_TOKEN, at)


@cache
def _token_rate() -> int:
    """`TOKEN_RATE`. To ask the settings each time would be a sixteenth of a verification."""
    return int(settings.TOKEN_RATE)


@receiver(setting_changed)
def _read_again(*, setting: str, **_facts: object) -> None:
    if setting == "TOKEN_RATE":
        _token_rate.cache_clear()


@sensitive_variables("key")
def refuse_busy_address(key: keys.Key, *, address: str | None, at: datetime) -> None:
    """Raises `TooMany` before work is done for an address that was refused too often.

    A key that was recently valid is let through: the limit must not be a means to shut out the
    other users of a proxy or an office.
    """
    if not is_recently_valid(key, at=at):
        process_counters.refuse_busy_address(address, at=at)


@sensitive_variables("key")
def mark_recently_valid(key: keys.Key, *, at: datetime) -> None:
    """Mark the token as recently valid. Only a per-process keyed digest is kept."""
    fingerprint = keys.digest(key, _process_key)
    _recently_valid.pop(fingerprint, None)
    _recently_valid[fingerprint] = at
    evict_oldest(_recently_valid, most=MOST_RECENTLY_VALID)


@sensitive_variables("key")
def forget_recently_valid(key: keys.Key) -> None:
    """Forget that the token was valid."""
    _recently_valid.pop(keys.digest(key, _process_key), None)


@sensitive_variables("key")
def is_recently_valid(key: keys.Key, *, at: datetime) -> bool:
    """True if this process has found the token good within the last hour."""
    since = _recently_valid.get(keys.digest(key, _process_key)) if _recently_valid else None
    return since is not None and at - since < RECENTLY_VALID_FOR


def forget() -> None:
    """Begin anew, as a process that has just started does."""
    process_counters.forget()
    uses.clear()
    _recently_valid.clear()
