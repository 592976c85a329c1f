"""Tells other hosts by Redis which marks to change, and hears that they have.

Nothing rests on it: a host that does not confirm is waited for as long as its leases may last.

Redis's client is imported where it is used: loading it takes a fifth of a process's start, and many
processes need none.
"""

import contextlib
import json
import logging
import os
import secrets
import threading
from collections.abc import Collection, Iterator
from functools import cache
from time import sleep
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from apitokens.cache.lease_cache import clock
from apitokens.cache.marks import Marks

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

CONFIRMATIONS_SECONDS = 10
"""How long what hosts have confirmed is kept for the one that waits for it."""
PING_SECONDS = 5
RECONNECT_SECONDS = 1


def tell(places: Collection[int], *, until: float) -> Iterator[int]:
    """Tell all hosts to change these marks. Yields the id of each that has, until the time is over
    or Redis fails."""
    if not settings.REDIS_URL:
        return
    from redis import RedisError

    confirmed = f"{_channel()}:{secrets.token_hex(12)}"
    message = json.dumps({"places": sorted(places), "confirm": confirmed})
    with contextlib.suppress(RedisError, OSError):
        if not _client().publish(_channel(), message):
            return
        while (rest := until - clock()) > 0:
            found: Any = _client().blpop([confirmed], timeout=rest)
            if found is None:
                return
            yield int(found[1])


def listen(known: Marks) -> None:
    """Have a thread of this process hear of changes, if there is none yet."""
    if settings.REDIS_URL and not _listener.is_running:
        _listener.start(known)


@cache
def _channel() -> str:
    """Of this portal: others may use the same Redis, and channels know nothing of its databases."""
    return f"permatoken:ended:{salted_hmac('apitokens.cache', 'channel').hexdigest()[:16]}"


@cache
def _client() -> "Redis":
    """For the one that tells: its patience ends with the longest lease."""
    return _connect(socket_timeout=float(settings.VERIFY_CACHE_SECONDS) or 0.1)


def _connect(**options: Any) -> "Redis":
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=options["socket_timeout"],
        retry=Retry(NoBackoff(), 0),
        **options,
    )


class _Listener:
    """The thread of this process that hears of changes."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew. A forked process has no thread but the one that has forked it."""
        self.is_running = False
        self._starting = threading.Lock()

    def start(self, known: Marks) -> None:
        with self._starting:
            if not self.is_running:
                self.is_running = True
                name = "tokens-ended-elsewhere"
                threading.Thread(target=self._run, args=(known,), name=name, daemon=True).start()

    def _run(self, known: Marks) -> None:
        from redis import RedisError

        client = _connect(socket_timeout=PING_SECONDS, health_check_interval=PING_SECONDS)
        while True:
            try:
                # redis has no types for it
                pubsub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                with contextlib.closing(pubsub) as heard:
                    heard.subscribe(_channel())
                    while True:
                        message = heard.get_message(timeout=PING_SECONDS)
                        if message is not None:
                            _apply(message["data"], known, client)
            except (RedisError, OSError):
                sleep(RECONNECT_SECONDS)
            except Exception:
                logger.exception("What ended elsewhere was not understood.")
                sleep(RECONNECT_SECONDS)


def _apply(text: bytes, known: Marks, client: "Redis") -> None:
    """Change the marks, and only then say so."""
    message = json.loads(text)
    known.change(message["places"])
    confirm = client.pipeline(transaction=False)
    confirm.rpush(message["confirm"], known.host_id)
    confirm.expire(message["confirm"], CONFIRMATIONS_SECONDS)
    confirm.execute()


_listener = _Listener()


def _begin_anew_after_fork() -> None:
    _listener.renew()
    _client.cache_clear()


os.register_at_fork(after_in_child=_begin_anew_after_fork)
