"""The cache in Redis, and in the memory of this process while Redis does not answer.

Limits live in the cache. Without it nobody could sign in; so each process limits alone for as long,
by what it knows itself.

Values are kept as JSON: what is read back can run no code, as a pickle could.
"""

import json
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache as DjangoRedisCache
from django.core.cache.backends.redis import RedisCacheClient
from redis import ResponseError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10.0
"""How long Redis is not asked after it has failed: waiting for it may cost a second each time."""
MOST_ENTRIES = 100_000
"""In memory, while Redis is away."""
_NO_COUNT = ("WRONGTYPE", "value is not an integer", "increment or decrement would overflow")
"""How Redis begins to say that a value is nothing to add to."""


class Outage:
    """What the threads of this process know of Redis together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.retry_at = 0.0
        """When Redis is asked again; 0 while it answers."""

    def may_ask(self) -> bool:
        """True while Redis answers, and once in a while for one thread when it does not."""
        if not self.retry_at:
            return True
        with self._lock:
            if time.monotonic() < self.retry_at:
                return False
            self.retry_at = time.monotonic() + RETRY_SECONDS
            return True

    def begin(self, error: Exception) -> None:
        if not self.retry_at:
            logger.warning("Redis isn't responding: each process limits alone. %s", error)
        self.retry_at = time.monotonic() + RETRY_SECONDS

    def end(self) -> None:
        self.retry_at = 0.0


outage = Outage()


class Missing(ValueError):
    """There is no count under the key."""


class JSONSerializer:
    """Writes values. An integer is written as Redis writes one, so that it can add to it."""

    def dumps(self, value: Any) -> str:
        return json.dumps(value)


class JSONClient(RedisCacheClient):
    """Django's, to which a value that cannot be read counts as missing, and is deleted: another
    program wrote it, and it would be in the way for as long as it lasts.

    Redis answers a read with bytes; whatever else comes is not from Redis, and raises."""

    def get(self, key: Any, default: Any) -> Any:
        return self.get_many([key]).get(key, default)

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        names = list(keys)
        found, unreadable = {}, []
        for name, data in zip(names, self.get_client(None).mget(names), strict=True):
            try:
                if data is not None:
                    found[name] = json.loads(data)
            except (ValueError, RecursionError):
                unreadable.append(name)
        if unreadable:
            self.delete_many(unreadable)
        return found

    def incr(self, key: Any, delta: int) -> int:
        """Add to a count and return it. Raises `Missing`."""
        client = self.get_client(key, write=True)
        if not client.exists(key):
            raise Missing(f"Key {key!r} not found.")
        try:
            count = client.incr(key, delta)
        except ResponseError as error:
            if not str(error).startswith(_NO_COUNT):
                raise
            client.delete(key)
            raise Missing(f"Key {key!r} has no count.") from None
        if type(count) is not int:
            raise TypeError("Redis answers with a number.")
        return count


class RedisCache(DjangoRedisCache):
    """Django's, whose operations fall back to memory, whatever is wrong with Redis."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = JSONClient
        options = {"serializer": JSONSerializer, **params.get("OPTIONS", {})}
        self._options: dict[str, Any] = options
        bounded = {**params, "OPTIONS": {"MAX_ENTRIES": MOST_ENTRIES}}
        self._memory = LocMemCache("while-redis-is-away", bounded)

    def _ask(self, operation: str, *facts: Any, **more: Any) -> Any:
        if outage.may_ask():
            try:
                answer = getattr(super(), operation)(*facts, **more)
            except Missing:
                outage.end()
                raise
            except Exception as error:  # a server of another kind answers in any way
                outage.begin(error)
            else:
                outage.end()
                return answer
        return getattr(self._memory, operation)(*facts, **more)

    def add(self, *facts: Any, **more: Any) -> Any:
        return self._ask("add", *facts, **more)

    def get(self, *facts: Any, **more: Any) -> Any:
        return self._ask("get", *facts, **more)

    def set(self, *facts: Any, **more: Any) -> Any:
        return self._ask("set", *facts, **more)

    def touch(self, *facts: Any, **more: Any) -> Any:
        return self._ask("touch", *facts, **more)

    def delete(self, *facts: Any, **more: Any) -> Any:
        return self._ask("delete", *facts, **more)

    def get_many(self, *facts: Any, **more: Any) -> Any:
        return self._ask("get_many", *facts, **more)

    def has_key(self, *facts: Any, **more: Any) -> Any:
        return self._ask("has_key", *facts, **more)

    def incr(self, *facts: Any, **more: Any) -> Any:
        return self._ask("incr", *facts, **more)

    def set_many(self, *facts: Any, **more: Any) -> Any:
        return self._ask("set_many", *facts, **more)

    def delete_many(self, *facts: Any, **more: Any) -> Any:
        return self._ask("delete_many", *facts, **more)

    def clear(self) -> Any:
        """Both: what was counted in memory is as old."""
        self._memory.clear()
        return self._ask("clear")
