"""Forks away from the process of the tests.

A child has only the thread that forked it, but every lock as it was. In a process of tests other
threads may be at work, in SQLite too, whose locks nobody sets free in a child.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import django

Result = TypeVar("Result")
PATIENCE = 240
"""Seconds. These tests are about what is lost, not about how long a busy machine takes."""
_fork = multiprocessing.get_context("fork")


def in_new_process(act: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function of a module in a new process, which has one thread and may fork."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=django.setup) as process:
        return process.submit(act, *arguments).result(timeout=2 * PATIENCE)


def at_once(work: Callable[..., Any], number: int, *arguments: Any) -> list[Any]:
    """Fork so many processes, which call the function with these arguments and a barrier of theirs.
    Returns what each has answered. To be called in a process of one thread."""
    barrier, answers = _fork.Barrier(number), _fork.Queue()
    processes = [
        _fork.Process(target=_answer, args=(work, arguments, barrier, answers))
        for _process in range(number)
    ]
    for process in processes:
        process.start()
    gathered = [answers.get(timeout=PATIENCE) for _process in processes]
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    return gathered


def _answer(work: Callable[..., Any], arguments: Any, barrier: Any, answers: Any) -> None:
    answers.put(work(*arguments, barrier))
