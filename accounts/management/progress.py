"""Progress of a long command, for a person who watches: what is done, how far, how long still."""

import time
from typing import Any

EVERY_SECONDS = 1.0


class Progress:
    """A line on a terminal that is written over. Where nobody watches, nothing is written, nor
    where other lines appear on a terminal meanwhile: those that are written to `beside`."""

    def __init__(self, stream: Any, what: str, total: int, *, beside: Any = None) -> None:
        self.stream, self.what, self.total = stream, what, total
        self.done, self.width = 0, 0
        self.began = self.written = time.monotonic()
        self.is_watched = bool(stream.isatty()) and not (beside and beside.isatty())

    def advance(self, number: int) -> None:
        """So many more are done."""
        self.done += number
        now = time.monotonic()
        if self.is_watched and now - self.written >= EVERY_SECONDS:
            self.written = now
            self._write(self.words(now - self.began))

    def words(self, seconds: float) -> str:
        """The line after so many seconds of work."""
        share = self.done / self.total if self.total else 1.0
        line = f"{self.what}: {self.done:,} of {self.total:,} ({share:.0%})"
        if not 0 < share < 1:
            return line
        return f"{line}, about {_span(seconds / share - seconds)} left"

    def end(self) -> None:
        """Take the line away: what has come of it is said in the command's own words."""
        if self.width:
            self._write("")

    def _write(self, line: str) -> None:
        self.stream.write(f"\r{line.ljust(self.width)}\r{line}", ending="")
        self.stream.flush()
        self.width = len(line)


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 6_000 else f"{round(seconds / 3_600)} h"
