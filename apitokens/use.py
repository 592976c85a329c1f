"""Remembers that tokens are used, for the price of a look into a dictionary.

Every process collects uses in memory and a thread of its own hands them over: to the database once
a minute, or, where there is Redis, to Redis every second, from where whoever's turn it is writes
them for all processes once a minute. What is not handed over when a process is killed is lost;
one that ends in peace hands everything over.
"""

import logging
import os
import signal
import sys
import threading
import time
from _thread import start_new_thread
from collections.abc import Iterable, Set
from datetime import UTC, datetime, timedelta
from multiprocessing.util import Finalize
from uuid import uuid4

from django.conf import settings
from django.db import Error, close_old_connections

from apitokens import use_relay
from apitokens.use_records import Place, Use, in_parts, merged, unknown_places, write_down

logger = logging.getLogger(__name__)

TICK = 1.0
"""Seconds until Redis knows of a use, and the database of an address it has never seen."""
ENDS_WITHIN = 5.0
"""Seconds until a server that has not heard of the end is not waited for any more."""
MOST_KEPT = 20_000
"""Tokens and addresses that uses are collected of at a time: some 10 MB."""
MOST_MET = 50_000
"""Tokens and addresses that the process recalls having met: another 10 MB at the most."""

Key = tuple[int, str | None]


class _Line:
    """Uses of one token from one address; `ends_at` is the end of their day in UTC."""

    __slots__ = ("ends_at", "first_at", "last_at", "times")

    def __init__(self, at: datetime) -> None:
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.first_at = self.last_at = at
        self.ends_at = midnight + timedelta(days=1)
        self.times = 0


class Notebook:
    """The uses that this process has not handed over yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[Key, _Line] = {}
        self._kept: list[Use] = []
        self._met: set[Key] = set()
        self._strangers: set[Key] = set()

    def note(self, token_id: int, address: str | None, at: datetime) -> None:
        """Note one use. The hot path: measured, half a microsecond."""
        key = (token_id, address)
        with self._lock:
            line = self._lines.get(key)
            if line is None or at >= line.ends_at:
                line = self._begin(key, at)
            line.times += 1
            if at > line.last_at:
                line.last_at = at

    @property
    def is_filling(self) -> bool:
        """True if it should be emptied before its time."""
        return len(self._lines) > MOST_KEPT // 2

    def has_met(self, token_id: int, address: str | None) -> bool:
        return (token_id, address) in self._met

    def meet(self, token_id: int, address: str | None) -> None:
        """What the database knows already is no stranger."""
        with self._lock:
            self._recall((token_id, address))

    def take(self) -> list[Use]:
        """All uses; the notebook is empty afterwards."""
        with self._lock:
            uses = self._kept + [_use(key, line) for key, line in self._lines.items()]
            self._kept, self._lines = [], {}
        return uses

    def take_of(self, keys: Set[Key]) -> list[Use]:
        """The uses of these tokens from these addresses."""
        with self._lock:
            return [_use(key, self._lines.pop(key)) for key in keys & self._lines.keys()]

    def put_back(self, uses: Iterable[Use]) -> None:
        """Keep uses that could not be handed over; of too many those noted first."""
        with self._lock:
            self._kept = merged([*self._kept, *uses])[:MOST_KEPT]

    def take_strangers(self) -> set[Key]:
        """What was met for the first time in this process since the last call."""
        with self._lock:
            strangers, self._strangers = self._strangers, set()
        return strangers

    def ask_again(self, keys: Iterable[Key]) -> None:
        """It could not be found out whether these are strangers."""
        with self._lock:
            self._strangers.update(keys)

    def _begin(self, key: Key, at: datetime) -> _Line:
        ended = self._lines.get(key)
        if ended is not None:
            self._kept.append(_use(key, ended))
        line = _Line(at)
        if len(self._lines) < MOST_KEPT:
            self._lines[key] = line
            if key not in self._met:
                self._recall(key)
                self._strangers.add(key)
        return line

    def _recall(self, key: Key) -> None:
        if len(self._met) >= MOST_MET:
            self._met.clear()
        self._met.add(key)


class Scribe:
    """Hands over what the notebook holds, in a thread of its own and when the process ends."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self._work = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._batch: tuple[str, list[Use]] | None = None
        self._handed_over = time.monotonic()

    def start(self) -> None:
        """Begin, if that has not been done in this process."""
        with self._starting:
            if self._thread is None and not self._ending.is_set():
                self._thread = threading.Thread(target=self._run, name="uses", daemon=True)
                # Unlike atexit this is also called where multiprocessing ends a process (granian).
                Finalize(None, self.end, exitpriority=100)
                self._thread.start()

    @property
    def is_started(self) -> bool:
        return self._thread is not None

    def end(self) -> None:
        """The process ends: hand over everything."""
        self._ending.set()
        self.hand_over(is_last=True)

    def hand_over(self, *, is_last: bool = False) -> None:
        """Hand over what is due; before the end, everything. What fails is kept for the next time,
        and is logged."""
        with self._work:
            for step in (self._write_strangers, self._relay, self._write):
                try:
                    if step(is_last):
                        return
                except Error as error:
                    logger.warning("Uses of API tokens wait: the database said: %s", error)

    def _run(self) -> None:
        while not self._ending.wait(TICK):
            close_old_connections()
            try:
                self.hand_over()
            except Exception:  # this thread has to live as long as the process, whatever happens
                logger.exception("Uses of API tokens wait.")
            close_old_connections()

    def _write_strangers(self, _is_last: bool) -> bool:
        """An address that the token was never used from is written down within a tick: somebody
        may have to be told."""
        strangers = self.notebook.take_strangers()
        if not strangers:
            return False
        try:
            places = unknown_places([Place(*key) for key in strangers if key[1] is not None])
        except Error:
            self.notebook.ask_again(strangers)
            raise
        self._write_down(self.notebook.take_of(places))
        return False

    def _relay(self, is_last: bool) -> bool:
        """Leave the uses to Redis, and write down what all have left there if it is our turn.
        False where there is no Redis, or it does not answer: then they are ours to write."""
        if not settings.REDIS_URL:
            return False
        if self._batch is not None and not self._leave():
            return False
        if uses := self.notebook.take():
            self._batch = (uuid4().hex, merged(uses))
            if not self._leave():
                return False
        self._handed_over = time.monotonic()
        use_relay.write_down_all(is_our_turn=is_last)
        return True

    def _leave(self) -> bool:
        """Leave the batch in hand; what Redis does not take stays in hand, under the same name."""
        if self._batch is not None and not use_relay.leave(*self._batch):
            return False
        self._batch = None
        return True

    def _write(self, is_last: bool) -> bool:
        """Write to the database ourselves, once a minute."""
        next_at = self._handed_over + settings.USES_EVERY_SECONDS
        if not (is_last or self.notebook.is_filling or time.monotonic() >= next_at):
            return False
        _name, left = self._batch or ("", [])
        self._batch = None
        self._write_down([*left, *self.notebook.take()])
        self._handed_over = time.monotonic()
        return True

    def _write_down(self, uses: list[Use]) -> None:
        parts = list(in_parts(uses))
        while parts:
            try:
                write_down(parts[0])
            except Error:
                self.notebook.put_back(use for part in parts for use in part)
                raise
            parts.pop(0)


scribe = Scribe(Notebook())


def remember(*, token_id: int, at: datetime, address: str | None, is_first: bool = False) -> None:
    """Remember a use of a good token. Never fails, and is no I/O.

    But for the first use ever (`is_first`: the row said so), which is written down before this
    returns, so that "not used yet" is never wrong.
    """
    notebook = scribe.notebook
    if is_first and not notebook.has_met(token_id, address):
        _write_first(Use(token_id, address, at, at, 1))
        return
    notebook.note(token_id, address, at)
    if not scribe.is_started:
        scribe.start()


def end_in_peace_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, if its server has not decided what it means:
    else Python is gone on the spot, with what it has noted."""
    is_undecided = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_undecided and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end_in_peace)


def _end_in_peace(*_facts: object) -> None:
    # The bare thread: what is interrupted here may hold the locks that `threading` takes.
    start_new_thread(_end_all_the_same, ())
    sys.exit(0)


def _end_all_the_same() -> None:
    """Some servers (wsgiref) take what ends the process for the failure of one request, and go on.
    A process that ends by itself ends this thread too."""
    time.sleep(ENDS_WITHIN)
    try:
        scribe.end()
    finally:
        os._exit(0)


def _write_first(use: Use) -> None:
    notebook = scribe.notebook
    try:
        write_down([use])
    except Error:
        logger.exception("The use of API token %s at %s has to wait.", use.token_id, use.last_at)
        notebook.put_back([use])
        scribe.start()
    notebook.meet(use.token_id, use.address)


def _use(key: Key, line: _Line) -> Use:
    return Use(*key, first_at=line.first_at, last_at=line.last_at, times=line.times)


def _begin_anew() -> None:
    """A forked process has no thread, and its parent writes down what the parent has noted."""
    global scribe
    scribe = Scribe(Notebook())


os.register_at_fork(after_in_child=_begin_anew)
