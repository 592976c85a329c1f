"""Puts the metrics of all processes of a machine together, by a small file of each.

Each process writes its counts every second, whole or not at all. It holds a lock as long as it
lives: so others know which processes are gone, in whatever container they ran, and add up their
last counts, which must not be lost (a counter that falls is taken for one that began anew). A
process that is killed loses what it counted in its last second.

The library's own way maps files into memory: there a full disk would end the process.
"""

import contextlib
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path
from typing import IO, Any

from prometheus_client.core import Metric

from telemetry import metrics
from telemetry.locks import is_held

EVERY_SECONDS = 1.0
GONE = "gone.json"
"""The counts of processes that are gone."""
ADDED_UP = ("counter", "histogram")

Families = list[dict[str, Any]]


class Writer:
    """Writes the metrics of this process into a folder, from a thread of its own."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._folder: Path | None = None
        self._name = ""
        self._held: IO[str] | None = None
        self._written = ""
        self.is_started = False

    def start(self, folder: Path) -> None:
        """Begin to write into this folder. Idempotent."""
        with self._starting:
            if self.is_started:
                return
            self._folder = folder
            self.is_started = True
            Finalize(None, self.write, exitpriority=90)
            threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def write(self) -> None:
        """Write what has changed. A disk that refuses is no reason for anything: the counts stay in
        memory, and are written when it does not."""
        if self._folder is None:
            return
        with self._writing, contextlib.suppress(OSError):
            text = json.dumps(_read_own(), separators=(",", ":"))
            if text != self._written:
                self._hold(self._folder)
                _replace(self._folder / f"{self._name}.json", text)
                self._written = text

    def _hold(self, folder: Path) -> None:
        """Make the file whose lock says that this process lives."""
        if self._held is not None:
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        with _alone(folder):  # nobody may find the file without its lock
            held = (folder / f"{self._name}.lock").open("w")
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._held = held

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY_SECONDS):
            self.write()


writer = Writer()


def _begin_anew() -> None:
    """A forked process has no thread. The lock of its parent is the parent's."""
    global writer
    writer = Writer()


os.register_at_fork(after_in_child=_begin_anew)


def all_processes(folder: Path) -> list[Metric]:
    """The metrics of all processes that write into the folder, and of those that are gone."""
    writer.write()
    if not folder.is_dir():
        return _as_metrics([_read_own()])
    with _alone(folder):
        with contextlib.suppress(OSError):  # of a full disk: they are read where they are
            _add_up_gone(folder)
        found = [_read(file) for file in sorted(folder.glob("*.json"))]
    return _as_metrics(found if writer.is_started else [*found, _read_own()])


def _read_own() -> Families:
    for bring_up_to_date in metrics.before_collecting:
        bring_up_to_date()
    return [
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [[each.name, each.labels, each.value] for each in family.samples],
        }
        for family in metrics.REGISTRY.collect()
    ]


def _add_up_gone(folder: Path) -> None:
    """Move the counts of processes that are gone into one file."""
    gone = [
        file
        for file in folder.glob("*.json")
        if file.name != GONE and not is_held(file.with_suffix(".lock"))
    ]
    if not gone:
        return
    together = _add_up([_read(folder / GONE), *map(_read, gone)])
    counts = [family for family in together if family["type"] in ADDED_UP]
    _replace(folder / GONE, json.dumps(counts, separators=(",", ":")))
    for file in gone:
        file.unlink(missing_ok=True)
        file.with_suffix(".lock").unlink(missing_ok=True)


def _add_up(found: Iterable[Families]) -> Families:
    """The families of all, with the samples of the same labels added up."""
    together: dict[str, dict[str, Any]] = {}
    sums: dict[str, dict[tuple[str, str], list[Any]]] = {}
    for family in (each for families in found for each in families):
        name = family["name"]
        together.setdefault(name, {**family, "samples": []})
        own = sums.setdefault(name, {})
        for sample, labels, value in family["samples"]:
            key = sample, json.dumps(labels, sort_keys=True)
            present = own.setdefault(key, [sample, labels, 0])
            largest = max(present[2], value)
            present[2] = present[2] + value if family["type"] in ADDED_UP else largest
    return [{**family, "samples": [*sums[name].values()]} for name, family in together.items()]


def _as_metrics(found: Iterable[Families]) -> list[Metric]:
    told = []
    for family in _add_up(found):
        metric = Metric(family["name"], family["help"], family["type"])
        for name, labels, value in family["samples"]:
            metric.add_sample(name, labels, value)
        told.append(metric)
    return told


def _read(file: Path) -> Families:
    """What a process has written; nothing if it is not there, or no JSON."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _replace(file: Path, text: str) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time look at who is gone. A disk that can only be read is read without
    it: nobody moves anything there."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            lock = stack.enter_context((folder / "all").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
