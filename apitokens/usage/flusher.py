"""Records that tokens are used, for the price of a look into a dictionary.

Every process collects uses in memory; a thread of its own stores them in the database every
`USAGE_FLUSH_SECONDS`. A process that is killed loses what it has not stored yet; one that ends
orderly stores everything, unless the database refuses for seconds; what is lost then is logged.
"""

import logging
import os
import signal
import sys
import threading
import time
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import chain
from multiprocessing.util import Finalize

from django.conf import settings
from django.db import DataError, Error, IntegrityError, close_old_connections

from apitokens.usage.buffer import UsageBuffer
from apitokens.usage.old_secrets import OldUse, OldUseBuffer, store_old_uses
from apitokens.usage.store import Use, in_parts, store_usage, unknown_sources

logger = logging.getLogger(__name__)

TICK = 1.0
"""Seconds until the database knows of an address that it has never seen."""
ENDS_WITHIN = 5.0
"""Seconds that a server has to end after SIGTERM before the process ends itself."""
LAST_FLUSH_SECONDS = 4.0
"""How long a process that ends tries to store its uses: less than `ENDS_WITHIN`."""
FIRST_USE_WAITS = 0.1
"""Seconds that the answer to a client may wait for a lock: then its use waits in the buffer."""
LAST_FLUSH_PAUSE = 0.05
"""Seconds between tries, for a database that refuses at once."""


class UsageFlusher:
    """Stores what the buffer holds, in a thread of its own and when the process ends."""

    def __init__(self, buffer: UsageBuffer) -> None:
        self.buffer = buffer
        self.old_uses = OldUseBuffer()
        self._flushing = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._flushed_at = time.monotonic()
        self._failing_since: float | None = None

    def start(self) -> None:
        """Start the thread. Idempotent."""
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
        """Store everything: the process ends. There is no next time, so that what fails is tried
        again for some seconds. Processes that end together wait for each other's rows."""
        self._ending.set()
        deadline = time.monotonic() + LAST_FLUSH_SECONDS
        with self._flushing:
            parts = deque(in_parts(self.buffer.pop_all()))
            while (error := _try_to_store(parts)) and time.monotonic() < deadline:
                parts.rotate(-1)  # the others first
                time.sleep(LAST_FLUSH_PAUSE)
            if failed := _try_to_store_old(self.old_uses):
                logger.error("Uses of old secrets are lost: the database said: %s", failed)
            if lost := sum(use.times for use in chain.from_iterable(parts)):
                logger.error("%d uses of API tokens are lost: the database said: %s", lost, error)

    def flush(self) -> None:
        """Store what is due. What fails is logged and kept for the next time."""
        with self._flushing:
            steps = [self._store_unseen_addresses]
            if self._is_due:
                steps += [self._store_all, self._store_old_uses]
            failed = [step for step in steps if not self._try(step)]
            if not failed:
                self._failing_since = None
            elif self._failing_since is None:
                self._failing_since = time.monotonic()

    def _try(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except Error as error:
            logger.warning("Uses of API tokens wait: the database said: %s", error)
            return False
        return True

    @property
    def waits_for(self) -> float:
        """For how many seconds uses could not be stored; 0 if they can be."""
        return time.monotonic() - self._failing_since if self._failing_since is not None else 0.0

    @property
    def _is_due(self) -> bool:
        due_at = self._flushed_at + settings.USAGE_FLUSH_SECONDS
        return self.buffer.is_filling or time.monotonic() >= due_at

    def _run(self) -> None:
        while not self._ending.wait(TICK):
            close_old_connections()
            try:
                self.flush()
            except Exception:  # this thread has to live as long as the process, whatever happens
                logger.exception("Uses of API tokens wait.")
            close_old_connections()

    def _store_unseen_addresses(self) -> None:
        """Store uses from addresses that the tokens were never used from: members may have to be
        notified, which does not wait for the next flush."""
        unseen = self.buffer.pop_unseen_addresses()
        if not unseen:
            return
        try:
            new = unknown_sources([source for source in unseen if source.address is not None])
        except Error:
            self.buffer.requeue(unseen)
            raise
        self._store(self.buffer.pop(new))

    def _store_all(self) -> None:
        self._store(self.buffer.pop_all())
        self._flushed_at = time.monotonic()

    def _store_old_uses(self) -> None:
        if error := _try_to_store_old(self.old_uses):
            raise error

    def _store(self, uses: Iterable[Use]) -> None:
        parts = deque(in_parts(uses))
        if error := _try_to_store(parts):
            self.buffer.put_back(chain.from_iterable(parts))
            raise error


def _try_to_store(parts: deque[list[Use]]) -> Error | None:
    """Store uses, some tokens at a time. Returns what the database said if it fails; then the
    parts that are not stored are left, first the one that failed.

    Uses that the database refuses for what they are do not hold up the others: they are stored
    without the report of new addresses, or dropped, and that is logged.
    """
    while parts:
        try:
            _store_first_part(parts)
        except Error as error:
            return error
    return None


def _try_to_store_old(buffer: OldUseBuffer) -> Error | None:
    """Store when old secrets were used. What the database refuses waits in the buffer."""
    uses = buffer.pop_all()
    try:
        if uses:
            store_old_uses(uses)
    except Error as error:
        buffer.put_back(uses)
        return error
    return None


def _store_first_part(parts: deque[list[Use]]) -> None:
    """Store the first part, or put parts of single tokens in its place."""
    try:
        store_usage(parts[0])
    except (DataError, IntegrityError):
        singles = list(in_parts(parts[0], tokens_at_once=1))
        if len(singles) > 1:
            parts.popleft()
            parts.extendleft(singles)
            return
        _store_unreported(parts[0])
    parts.popleft()


def _store_unreported(uses: list[Use]) -> None:
    """Store uses of one token, though no event or notice of their addresses can be written: a fault
    in these must not lose the counts and the last use. Raises what is no fault of the uses."""
    token_id = uses[0].token_id
    try:
        store_usage(uses, is_reported=False)
        logger.exception("New addresses of API token %s are not reported.", token_id)
    except (DataError, IntegrityError):
        logger.exception("Uses of API token %s are dropped.", token_id)


usage_flusher = UsageFlusher(UsageBuffer())


def record_use(*, token_id: int, at: datetime, address: str | None, is_first: bool = False) -> None:
    """Record one use of a good token. Never fails. Does no I/O, except for the first use ever
    (`is_first`: the row said so), which is stored before this returns: "not used yet" is never
    wrong."""
    buffer = usage_flusher.buffer
    if is_first and not buffer.is_known(token_id, address):
        _store_first(Use(token_id, address, at, at, 1))
        return
    buffer.add(token_id, address, at)
    if not usage_flusher.is_started:
        usage_flusher.start()


def record_old_use(*, token_id: int, secret_number: int, at: datetime, address: str | None) -> None:
    """Record that a token was used by its old secret, beside the use of the token. Never fails, and
    does no I/O."""
    usage_flusher.old_uses.add(OldUse(token_id, secret_number, at, address))
    if not usage_flusher.is_started:
        usage_flusher.start()


def record_refusal(*, token_id: int, at: datetime) -> None:
    """Record that the token was presented with the right secret, and refused. Never fails, and does
    no I/O."""
    usage_flusher.buffer.add_refused(token_id, at)
    if not usage_flusher.is_started:
        usage_flusher.start()


def install_sigterm_flush() -> None:
    """Flush buffered uses on SIGTERM, unless the server has a handler of its own: without one
    Python would end on the spot."""
    is_undecided = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_undecided and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _exit_on_sigterm)


def _exit_on_sigterm(*_facts: object) -> None:
    # The bare thread: what is interrupted here may hold the locks that `threading` takes.
    start_new_thread(_exit_after_grace, ())
    sys.exit(0)


def _exit_after_grace() -> None:
    """Flush and end the process. Some servers (wsgiref) take `SystemExit` for the failure of one
    request and go on; a process that ends by itself ends this thread too."""
    time.sleep(ENDS_WITHIN)
    try:
        usage_flusher.end()
    finally:
        os._exit(0)


def _store_first(use: Use) -> None:
    buffer = usage_flusher.buffer
    try:
        store_usage([use], waits=FIRST_USE_WAITS)
    except Error:
        logger.exception("The use of API token %s at %s has to wait.", use.token_id, use.last_at)
        buffer.put_back([use])
        usage_flusher.start()
    buffer.mark_known(use.token_id, use.address)


def _reset_after_fork() -> None:
    """Begin with an empty buffer: a forked process has no thread, and its parent stores what the
    parent has buffered."""
    global usage_flusher
    usage_flusher = UsageFlusher(UsageBuffer())


os.register_at_fork(after_in_child=_reset_after_fork)
