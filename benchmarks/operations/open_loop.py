"""Sends requests at the rate that was asked for, whether the portal keeps up or not.

A closed loop waits for an answer before it asks again, and so hides every stall (coordinated
omission). Here each request has its moment; what begins late counts from that moment, and what is
answered after everybody's patience is no good answer.
"""

import statistics
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from queue import SimpleQueue

from benchmarks.operations.mix import PATIENCE, Answer, Caller, Kind, Mix

CALLERS = 64
"""Threads: a request that waits for ten seconds must not keep the others from their moments."""
GRACE = 1.0
"""Seconds by which what nobody was free for may be late when the load stops."""


@dataclass
class Tally:
    """What one kind was answered."""

    statuses: Counter[int | str] = field(default_factory=Counter)
    bad: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        self.bad += not answer.is_good
        self.seconds.append(answer.seconds)

    def percentile(self, part: float) -> float:
        """Milliseconds."""
        found = sorted(self.seconds)
        return 1000 * found[min(len(found) - 1, int(part * len(found)))] if found else 0.0

    @property
    def median(self) -> float:
        """Milliseconds."""
        return 1000 * statistics.median(self.seconds) if self.seconds else 0.0


class Load:
    """A load that runs until it is told to stop. `tallies` of the phase that is on."""

    def __init__(self, mix: Mix, *, rate: float) -> None:
        self._mix, self._rate = mix, rate
        self._due: SimpleQueue[tuple[float, Kind] | None] = SimpleQueue()
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.unsent = 0
        """Requests whose moment had come, when the load was stopped, and that nobody had sent."""
        self._threads = [
            threading.Thread(target=self._plan, daemon=True),
            *(threading.Thread(target=self._call, daemon=True) for _each in range(CALLERS)),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """After the answers to what is being asked. What still waits is dropped, and counted."""
        stopped = time.monotonic()
        self._stop.set()
        for _each in range(CALLERS):
            self._due.put(None)
        for thread in self._threads:
            thread.join()
        while not self._due.empty():
            due = self._due.get()
            self.unsent += due is not None and due[0] < stopped - GRACE

    def new_phase(self) -> dict[str, Tally]:
        """Begin to count anew; returns what was counted until now."""
        with self._lock:
            counted, self.tallies = self.tallies, defaultdict(Tally)
        return dict(counted)

    def _plan(self) -> None:
        turns, began, number = self._mix.turns(), time.monotonic(), 0
        while not self._stop.is_set():
            moment = began + number / self._rate
            self._stop.wait(max(0.0, moment - time.monotonic()))
            self._due.put((moment, turns[number % len(turns)]))
            number += 1

    def _call(self) -> None:
        caller = Caller(self._mix.url)
        while (due := self._due.get()) is not None:
            if self._stop.is_set():
                self._due.put(due)
                break
            moment, kind = due
            answer = caller.ask(kind.make(), time.monotonic)
            late = time.monotonic() - moment
            answer = answer._replace(seconds=late, is_good=answer.is_good and late <= PATIENCE)
            with self._lock:
                self.tallies[kind.name].add(answer)
            self._mix.learn(kind, answer)
        caller.close()
