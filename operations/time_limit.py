"""Bounds the time of a call that cannot be interrupted."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

R = TypeVar("R")


def within(seconds: float, call: Callable[[], R]) -> R:
    """What the call returns or raises. Raises `TimeoutError` if it takes longer: then its thread
    goes on, and what it returns is dropped."""
    answers: SimpleQueue[tuple[R | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:
            answers.put((None, error))

    Thread(target=run, daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} seconds") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # R, as there is no error
