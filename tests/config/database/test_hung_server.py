"""A PostgreSQL that hangs keeps a few threads of a web process, and no probe."""

import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from apitokens import keys
from tests import services
from tests.portal import GRANIAN, served_portal, shell

THREADS = 4
"""The fewest that may be set."""
CALLERS = 4 * THREADS
ANSWERED_WITHIN = 2.0
"""Seconds, as the README promises."""


@contextmanager
def hung(database_url: str) -> Iterator[None]:
    """All processes of this server are stopped."""
    folder = Path(parse_qs(urlsplit(database_url).query)["host"][0])
    first = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    processes = [first, *first.children()]
    for each in processes:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            each.send_signal(signal.SIGCONT)


@contextmanager
def crowd(url: str) -> Iterator[None]:
    """More callers of verification and the API than there are threads, who ask again and again."""
    is_over = threading.Event()

    def call(path: str) -> None:
        while not is_over.is_set():
            unknown = {"Authorization": f"APIKey {keys.make(1).spell()}"}
            asked = urllib.request.Request(f"{url}{path}", headers=unknown)
            with suppress(OSError):
                urllib.request.urlopen(asked, timeout=60).close()

    paths = [("/iam/auth/verify", "/iam/clients/me")[each % 2] for each in range(CALLERS)]
    callers = [threading.Thread(target=call, args=[path], daemon=True) for path in paths]
    for each in callers:
        each.start()
    yield
    is_over.set()


def probe(url: str) -> tuple[int, float]:
    """The status, and how many seconds it took."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            status = answer.status
    except urllib.error.HTTPError as refused:
        status = refused.code
    return status, time.monotonic() - began


@pytest.mark.long
def test_probes_are_answered_with_few_threads_while_the_database_hangs(tmp_path: Path) -> None:
    server = (*GRANIAN, "--blocking-threads", str(THREADS), "config.wsgi:application")
    with services.postgresql(is_durable=False) as database_url:
        settings = {"DATABASE_URL": database_url, "WEB_THREADS": str(THREADS), "REFUSAL_RATE": "0"}
        with shell({**os.environ, "DATA_DIR": str(tmp_path), **settings}) as beside:
            beside.command("migrate", verbosity=0)
        with (
            served_portal(tmp_path / "data", server=server, **settings) as portal,
            hung(database_url),
            crowd(portal.url),
        ):
            time.sleep(2)  # the first second of a hung database is the door's
            for _each in range(3):
                for path, expected in (("/livez", 200), ("/readyz", 503)):
                    status, took = probe(f"{portal.url}{path}")
                    assert (status, took < ANSWERED_WITHIN) == (expected, True), (path, took)
