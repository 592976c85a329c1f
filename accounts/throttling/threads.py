"""Divides the threads of a web process among what may keep them.

A thread waits for a database that hangs, for the turn of a password, for a client that is slow.
Each of these may keep a share, so that others are served whatever becomes of it. The shares were
measured with 16 threads (docs/decisions/0031, 0032), and go with their number. Nothing but requests
is bounded: workers and commands need no shares.
"""

from typing import NamedTuple

from django.conf import settings


class Shares(NamedTuple):
    """How many threads each may keep: at least one. A process has at least four, of which passwords
    and bodies leave one."""

    with_database: int
    """Three quarters, and never all: the others serve what needs no database."""
    patient: int
    """Half: of those with the database, they may wait as long as a request may."""
    hashing: int
    """Passwords that are hashed or wait for it. They have a patient place, as those have whose
    strength is estimated; together they are fewer. (With four threads they are as many: then the
    next waits as long as a hash takes.) More than 16 threads hash no faster."""
    estimating: int
    reading: int
    """Bodies of requests. With passwords they leave some threads to others."""
    sending: int
    """Large answers."""


def shares(threads: int) -> Shares:
    """The shares of a process with so many threads."""

    def of_sixteen(part: int) -> int:
        return max(1, threads * part // 16)

    return Shares(
        with_database=of_sixteen(12),
        patient=(threads + 1) // 2,
        hashing=min(5, of_sixteen(5)),
        estimating=min(2, of_sixteen(2)),
        reading=of_sixteen(6),
        sending=of_sixteen(3),
    )


SHARES = shares(settings.WEB_THREADS)
"""Those of this process."""
