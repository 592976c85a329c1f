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
from datetime import datetime
from multiprocessing.util import Finalize
from uuid import uuid4

from django.conf import settings
from django.db import Error, close_old_connections

from apitokens.usage import redis_relay
from apitokens.usage.buffer import UsageBuffer
from apitokens.usage.store import UsageSource, Use, in_parts, merged, store_usage, unknown_sources

logger = logging.getLogger(__name__)

TICK = 1.0
"""Seconds until Redis knows of a use, and the database of an address it has never seen."""
ENDS_WITHIN = 5.0
"""Seconds until a server that has not heard of the end is not waited for any more."""


class UsageFlusher:
    """Hands over what the notebook holds, in a thread of its own and when the process ends."""

    def __init__(self, notebook: UsageBuffer) -> None:
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
        self.flush(is_last=True)

    def flush(self, *, is_last: bool = False) -> None:
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
                self.flush()
            except Exception:  # this thread has to live as long as the process, whatever happens
                logger.exception("Uses of API tokens wait.")
            close_old_connections()

    def _write_strangers(self, _is_last: bool) -> bool:
        """An address that the token was never used from is written down within a tick: somebody
        may have to be told."""
        strangers = self.notebook.pop_unseen_addresses()
        if not strangers:
            return False
        try:
            places = unknown_sources([UsageSource(*key) for key in strangers if key[1] is not None])
        except Error:
            self.notebook.requeue(strangers)
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
        redis_relay.write_down_all(is_our_turn=is_last)
        return True

    def _leave(self) -> bool:
        """Leave the batch in hand; what Redis does not take stays in hand, under the same name."""
        if self._batch is not None and not redis_relay.leave(*self._batch):
            return False
        self._batch = None
        return True

    def _write(self, is_last: bool) -> bool:
        """Write to the database ourselves, once a minute."""
        next_at = self._handed_over + settings.USAGE_FLUSH_SECONDS
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
                store_usage(parts[0])
            except Error:
                self.notebook.put_back(use for part in parts for use in part)
                raise
            parts.pop(0)


usage_flusher = UsageFlusher(UsageBuffer())


def record_use(*, token_id: int, at: datetime, address: str | None, is_first: bool = False) -> None:
    """Remember a use of a good token. Never fails, and is no I/O.

    But for the first use ever (`is_first`: the row said so), which is written down before this
    returns, so that "not used yet" is never wrong.
    """
    notebook = usage_flusher.notebook
    if is_first and not notebook.is_known(token_id, address):
        _write_first(Use(token_id, address, at, at, 1))
        return
    notebook.note(token_id, address, at)
    if not usage_flusher.is_started:
        usage_flusher.start()


def install_sigterm_flush() -> None:
    """Let SIGTERM end this process as Ctrl-C does, if its server has not decided what it means:
    else Python is gone on the spot, with what it has noted."""
    is_undecided = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_undecided and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _exit_on_sigterm)


def _exit_on_sigterm(*_facts: object) -> None:
    # The bare thread: what is interrupted here may hold the locks that `threading` takes.
    start_new_thread(_exit_after_grace, ())
    sys.exit(0)


def _exit_after_grace() -> None:
    """Some servers (wsgiref) take what ends the process for the failure of one request, and go on.
    A process that ends by itself ends this thread too."""
    time.sleep(ENDS_WITHIN)
    try:
        usage_flusher.end()
    finally:
        os._exit(0)


def _write_first(use: Use) -> None:
    notebook = usage_flusher.notebook
    try:
        store_usage([use])
    except Error:
        logger.exception("The use of API token %s at %s has to wait.", use.token_id, use.last_at)
        notebook.put_back([use])
        usage_flusher.start()
    notebook.mark_known(use.token_id, use.address)


def _reset_after_fork() -> None:
    """A forked process has no thread, and its parent writes down what the parent has noted."""
    global usage_flusher
    usage_flusher = UsageFlusher(UsageBuffer())


os.register_at_fork(after_in_child=_reset_after_fork)
