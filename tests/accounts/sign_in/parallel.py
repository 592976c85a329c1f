"""The same request from many threads at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

THREADS = 4
Answer = TypeVar("Answer")


def at_once(act: Callable[[], Answer], times: int = THREADS) -> list[Answer]:
    """Call the function so many times at once; each thread has a database connection of its own.
    The test needs `django_db(transaction=True)`."""
    barrier = threading.Barrier(times)

    def call() -> Answer:
        barrier.wait(30)
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return [answer.result() for answer in [pool.submit(call) for _ in range(times)]]
