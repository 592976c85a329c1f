"""Uses on their way through Redis: left there by all processes, written down by one for all.

Each process appends batches to a list. Whoever's turn it is renames the list, so that it is whole
and nobody adds to it, writes it down with a receipt, and deletes it. Killed at any point, the next
one goes on where it stopped: the receipt says what the database has.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any
from uuid import uuid4

from django.conf import settings
from redis import Redis, RedisError

from apitokens.usage.store import Use, in_parts, store_usage

logger = logging.getLogger(__name__)

LEFT = "permatoken:uses"
TAKEN = "permatoken:uses:taken"
TURN = "permatoken:uses:turn"
MOST_BATCHES = 20_000
"""With nobody to write them down so many are kept; further uses stay with their processes."""
PATIENCE = 1
"""Seconds that Redis has to answer."""


def leave(name: str, uses: Iterable[Use]) -> bool:
    """Leave a batch of uses for whoever writes. False if Redis does not take it now; then it may
    be left again, under the same name."""
    batch = {"name": name, "uses": [_packed(use) for use in uses]}
    try:
        if _length() >= MOST_BATCHES:
            return False
        _redis().rpush(LEFT, json.dumps(batch))
    except RedisError as error:
        logger.warning("Uses of API tokens stay here: Redis said: %s", error)
        return False
    return True


def write_down_all(*, is_our_turn: bool = False) -> None:
    """Write down everything that was left, unless that was done within the last minute.

    Raises Django's `Error` if the database does not take it; then it is tried again.
    """
    try:
        if is_our_turn or _redis().set(TURN, 1, nx=True, ex=settings.USAGE_FLUSH_SECONDS):
            _take()
            for name in _taken():
                _write_down(name)
    except RedisError as error:
        logger.warning("Uses of API tokens wait in Redis, which said: %s", error)


def _take() -> None:
    """Make the list ours. Its new name is known before it has it: nothing is ever lost sight of."""
    if not _length():
        return
    name = f"{TAKEN}:{uuid4().hex}"
    with _redis().pipeline(transaction=True) as steps:
        steps.sadd(TAKEN, name)
        steps.rename(LEFT, name)
        steps.execute(raise_on_error=False)  # somebody else may have renamed it


def _taken() -> list[str]:
    """What was taken and not deleted, by us or by somebody who was killed since."""
    names: Any = _redis().smembers(TAKEN)
    return sorted(names)


def _write_down(name: str) -> None:
    for number, part in enumerate(in_parts(_uses(name))):
        store_usage(part, receipt=f"{name.removeprefix(TAKEN)[1:]}:{number}")
    with _redis().pipeline(transaction=True) as steps:
        steps.delete(name)
        steps.srem(TAKEN, name)
        steps.execute()


def _uses(name: str) -> Iterator[Use]:
    """All uses in a list; of a batch that was left twice, because the first answer was lost, once.
    In the order of the list, so that parts and receipts are the same each time."""
    lines: Any = _redis().lrange(name, 0, -1)
    batches = {batch["name"]: batch["uses"] for batch in map(json.loads, lines)}
    for uses in batches.values():
        yield from map(_unpacked, uses)


def _length() -> int:
    length: Any = _redis().llen(LEFT)
    return int(length)


def _packed(use: Use) -> list[Any]:
    return [use.token_id, use.address, use.first_at.isoformat(), use.last_at.isoformat(), use.times]


def _unpacked(line: list[Any]) -> Use:
    token_id, address, first_at, last_at, times = line
    return Use(
        token_id,
        address,
        datetime.fromisoformat(first_at),
        datetime.fromisoformat(last_at),
        times,
    )


def _redis() -> Redis:
    return _client(settings.REDIS_URL)


@cache
def _client(url: str) -> Redis:
    return Redis.from_url(
        url, decode_responses=True, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
    )
