"""The cache in Redis, and in the memory of this process while Redis does not answer.

Limits live in the cache. Without it nobody could sign in; so each process limits alone for as long,
by what it knows itself.
"""

import logging
import threading
import time
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache as DjangoRedisCache
from redis import RedisError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10.0
"""How long Redis is not asked after it has failed: waiting for it may cost a second each time."""
MOST_ENTRIES = 100_000
"""In memory, while Redis is away."""


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


class RedisCache(DjangoRedisCache):
    """Django's, whose operations fall back to memory."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        options = {"MAX_ENTRIES": MOST_ENTRIES}
        self._memory = LocMemCache("while-redis-is-away", {**params, "OPTIONS": options})

    def _ask(self, operation: str, *facts: Any, **more: Any) -> Any:
        if outage.may_ask():
            try:
                answer = getattr(super(), operation)(*facts, **more)
            except (RedisError, OSError) as error:
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
