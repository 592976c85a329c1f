"""Waits until no process of any host accepts any more what has been ended.

Services register what they end, and what they find ended already: not all processes may know of
that yet. After the commit the marks of this host are changed. The waiting comes last, for all
together: at the end of a request, a task or a command (`together`), or else at the commit.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import F
from django.dispatch import receiver

from accounts.signals import standing_changed
from apitokens.cache import hosts, messages
from apitokens.cache.lease_cache import clock
from apitokens.cache.marks import TOKEN_MARKS, VERIFIER_MARKS, marks
from apitokens.models import APIToken, APITokenQuerySet

MARGIN = 0.01
"""Seconds. Clocks of two machines do not run at exactly the same speed."""


class _Pending:
    """What has been ended, and which hosts have leases of before until when."""

    def __init__(self) -> None:
        self.places = set[int]()
        self.leases_end = dict[int, float]()

    def add(self, places: Iterable[int], leases: dict[int, float], *, since: float) -> None:
        self.places.update(places)
        for host, seconds in leases.items():
            ends = since + seconds + MARGIN
            self.leases_end[host] = max(ends, self.leases_end.get(host, 0))

    def wait(self) -> None:
        """Wait until each host has changed its marks, or has no lease of before any more."""
        if self.leases_end:
            for host in messages.tell(self.places, until=max(self.leases_end.values())):
                self.leases_end.pop(host, None)
                if not self.leases_end:
                    break
        while (rest := max(self.leases_end.values(), default=0) - clock()) > 0:
            time.sleep(rest)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.ended = set[int]()
        """In the present transaction; perhaps in one before it, too, that was undone."""
        self.pending: _Pending | None = None


_thread = _Thread()


@contextmanager
def together() -> Iterator[None]:
    """Wait once, at the end of the block, for all that it has ended."""
    if _thread.pending is not None:
        yield
        return
    _thread.pending = pending = _Pending()
    try:
        yield
    finally:
        _thread.pending = None
        pending.wait()


def end_token_on_commit(token_id: int) -> None:
    """Have the token read again by all processes of all hosts before the answer."""
    _end_on_commit(_place_of_token(token_id))


def end_tokens_on_commit(tokens: APITokenQuerySet) -> None:
    """As `end_token_on_commit`, for all of these."""
    _end_on_commit(*_places_of(tokens))


def end_verifier_on_commit(verifier_id: int) -> None:
    """As `end_token_on_commit`, for a verifier key."""
    _end_on_commit(TOKEN_MARKS + verifier_id % VERIFIER_MARKS)


def _end_on_commit(*places: int) -> None:
    _thread.ended.update(places)
    transaction.on_commit(_tell_of_transaction)


def _tell_of_transaction() -> None:
    """The first of a transaction tells of all that it has ended."""
    ended, _thread.ended = _thread.ended, set()
    if ended:
        _tell(ended)


@receiver(standing_changed)
def forget_standing(
    user_id: int | None, account_id: int | None, is_weaker: bool, **_facts: Any
) -> None:
    """Have the tokens read again that this user issued in this account (None: any)."""
    tokens = APIToken.objects.all()
    if user_id is not None:
        tokens = tokens.filter(issuer__user=user_id)
    if account_id is not None:
        tokens = tokens.filter(account=account_id)
    try:
        places = _places_of(tokens)
    except DatabaseError:
        places = set(range(TOKEN_MARKS))
    if is_weaker:
        _tell(places)
    else:
        marks().change(places)


def _place_of_token(token_id: int) -> int:
    return token_id % TOKEN_MARKS


def _places_of(tokens: APITokenQuerySet) -> set[int]:
    """The places of these tokens: also of deleted ones, of which others may not have heard yet,
    until their digests are dropped."""
    known = tokens.filter(digest__isnull=False).order_by()
    return set(known.values_list(F("pk") % TOKEN_MARKS, flat=True).distinct())


def _tell(places: set[int]) -> None:
    """Change the marks of this host, and wait for the others, or leave that to `together`."""
    if not places:
        return
    known = marks()
    known.change(places)
    since = clock()
    try:
        leases = hosts.others(known)
    except DatabaseError:
        leases = {0: hosts.LONGEST_LEASE}  # of a host that nobody knows
    pending = _thread.pending or _Pending()
    pending.add(places, leases, since=since)
    if _thread.pending is None:
        pending.wait()
