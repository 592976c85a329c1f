"""`python -m benchmarks.verify.designs`: ways to know soon, and cheaply, that a token has ended.

Prints for each, on PostgreSQL and Redis: microseconds of CPU for an answer from memory and for one
that needs I/O, and how many of 10,000 answers need it, if each of 1,000 tokens is used ten times a
second or once in five seconds. Then how long a message by pub/sub takes. See docs/decisions.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any, NamedTuple

from tests import services

TOKENS = 1_000
ANSWERS = 10_000
ROUNDS = 20
BOUND = 1.0


class Design(NamedTuple):
    name: str
    hot: Callable[[], Any]
    cold: Callable[[], Any]
    needs_io: Callable[[float, float], bool]
    """By seconds since the token was read last, and since anything was."""


def main() -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="permatoken-designs-"))
        database = stack.enter_context(services.postgresql())
        redis = stack.enter_context(services.redis())
        os.environ.update(DATA_DIR=folder, DATABASE_URL=database, REDIS_URL=redis)
        os.environ.update(DJANGO_SETTINGS_MODULE="config.settings", USAGE_FLUSH_SECONDS="60")
        import django

        django.setup()
        _compare(redis)
        from django.db import connections

        connections.close_all()


def _compare(redis_url: str) -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    say = sys.stdout.write
    say(f"{'':34}{'memory':>9}{'I/O':>9}{'busy':>9}{'quiet':>9}\n")
    for design in _designs(redis_url):
        busy, quiet = (_answers_with_io(design, pace) for pace in (10.0, 0.2))
        hot, cold = _micros(design.hot), _micros(design.cold)
        say(f"{design.name:34}{hot:9.1f}{cold:9.1f}{busy:9}{quiet:9}\n")
    say(f"\nA message by pub/sub took {_seconds_of_a_message(redis_url) * 1e3:.2f} ms.\n")


def _designs(redis_url: str) -> Iterator[Design]:
    from django.db import connection
    from django.utils import timezone
    from redis import Redis

    from apitokens import keys
    from apitokens.cache.lease_cache import ReadLeaseCache, clock
    from apitokens.verification.token_lookup import look_up
    from tests.factories import MembershipFactory, issue

    _token, key = issue(MembershipFactory.create(), at=timezone.now())
    known = look_up(key.id)
    client: Any = Redis.from_url(redis_url)
    client.set("generation", 1)
    client.set(f"token:{key.id}", known.digest)

    def fits() -> bool:
        return keys.matches(key, stored=known.digest, pepper=known.pepper)

    def read() -> bool:
        look_up(key.id)
        return fits()

    def counter_in_database() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM django_migrations WHERE id = 1")
            cursor.fetchone()

    yield Design("narrow query, no cache", read, read, lambda _read, _poll: True)
    yield Design(
        "digest in Redis",
        lambda: client.get(f"token:{key.id}") and fits(),
        read,
        lambda _read, _poll: True,
    )

    leases: ReadLeaseCache[Any] = ReadLeaseCache(most=TOKENS)
    leases.keep(key.id, known, leases.begin(key.id), seconds=3600)

    def by_lease() -> bool:
        return leases.find(key.id) is not None and fits()

    yield Design(
        "memory with leases of 1 s",
        by_lease,
        read,
        lambda read, _poll: read >= BOUND,
    )

    polled_at, memory = clock(), {key.id: known}

    def by_counter() -> bool:
        return clock() - polled_at < 3600 and memory.get(key.id) is not None and fits()

    for place, poll in (
        ("database", counter_in_database),
        ("Redis", lambda: client.get("generation")),
    ):
        yield Design(
            f"memory, counter polled in {place}",
            by_counter,
            partial(_poll_and_compare, poll, fits),
            lambda _read, poll: poll >= BOUND,
        )

    yield Design(
        "memory, told by pub/sub",
        lambda: memory.get(key.id) is not None and fits(),
        read,
        lambda _read, _poll: False,
    )


def _poll_and_compare(poll: Callable[[], object], fits: Callable[[], bool]) -> bool:
    poll()
    return fits()


def _seconds_of_a_message(redis_url: str) -> float:
    """From PUBLISH to the listener's hands: the median."""
    from redis import Redis

    client: Any = Redis.from_url(redis_url)
    delays = []
    with client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe("ended")
        listener.get_message(timeout=1)
        for _round in range(ROUNDS):
            began = time.perf_counter()
            client.publish("ended", 1)
            while listener.get_message(timeout=1) is None:
                pass
            delays.append(time.perf_counter() - began)
    return median(delays)


def _answers_with_io(design: Design, pace: float) -> int:
    """Of 10,000 answers those that need I/O, if each of the tokens is asked about `pace` times a
    second, in turn."""
    read_at: dict[int, float] = {}
    step, polled_at, needed = 1 / (TOKENS * pace), float("-inf"), 0
    for number in range(2 * ANSWERS):
        token, now = number % TOKENS, number * step
        io = design.needs_io(now - read_at.get(token, float("-inf")), now - polled_at)
        if io:
            read_at[token], polled_at = now, now
        needed += io and number >= ANSWERS
    return needed


def _micros(act: Callable[[], Any], times: int = 2_000) -> float:
    """Microseconds of CPU in this process; the median of five."""
    rounds = []
    for _round in range(5):
        began = time.process_time()
        for _time in range(times):
            act()
        rounds.append((time.process_time() - began) / times * 1e6)
    return median(rounds)


if __name__ == "__main__":
    main()
