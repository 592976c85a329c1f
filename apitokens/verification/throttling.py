"""What one address may ask after it was refused often, and how often one token may be used."""

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from accounts.throttling import process_counters
from accounts.throttling.process_counters import Counter, TooMany, drop_first
from apitokens import keys

RECENTLY_VALID_FOR = timedelta(hours=1)
MOST_RECENTLY_VALID = 10_000

_BUSY_TOKEN = "This API token is used too often. Wait, then send fewer requests a minute."  # noqa: S105

uses = Counter("uses")
_vouched: dict[bytes, datetime] = {}
_process_key = secrets.token_bytes(keys.DIGEST_BYTES)


def count_use(token_id: int, *, at: datetime) -> None:
    """A good token is used. Raises `TooMany` above `TOKEN_RATE` a minute."""
    if settings.TOKEN_RATE and uses.add(str(token_id), at=at) > settings.TOKEN_RATE:
        raise TooMany(_BUSY_TOKEN, at)


@sensitive_variables("key")
def refuse_busy_address(key: keys.Key, *, address: str | None, at: datetime) -> None:
    """Raises `TooMany` before work is done for an address that was refused too often.

    Whoever was found good here lately is let through: the limit must not be a means to shut out the
    other users of a proxy or an office.
    """
    if not is_recently_valid(key, at=at):
        process_counters.refuse_busy_address(address, at=at)


@sensitive_variables("key")
def mark_recently_valid(key: keys.Key, *, at: datetime) -> None:
    """This token was found good. Remembered by a digest under a key that dies with the process."""
    fingerprint = keys.digest(key, _process_key)
    _vouched.pop(fingerprint, None)
    _vouched[fingerprint] = at
    drop_first(_vouched, most=MOST_RECENTLY_VALID)


@sensitive_variables("key")
def forget_recently_valid(key: keys.Key) -> None:
    """This token is good no longer."""
    _vouched.pop(keys.digest(key, _process_key), None)


@sensitive_variables("key")
def is_recently_valid(key: keys.Key, *, at: datetime) -> bool:
    """True if this process has found the token good within the last hour."""
    since = _vouched.get(keys.digest(key, _process_key)) if _vouched else None
    return since is not None and at - since < RECENTLY_VALID_FOR


def forget() -> None:
    """Begin anew, as a process that has just started does."""
    process_counters.forget()
    uses.clear()
    _vouched.clear()
