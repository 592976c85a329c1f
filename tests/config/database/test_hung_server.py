"""A PostgreSQL that hangs keeps a few threads of a web process, and no probe."""

import http.client
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request

import psutil
import pytest

from apitokens import keys
from tests import services
from tests.launcher.portal import wait_until
from tests.portal import GRANIAN, served_portal, shell

THREADS = 4
"""The fewest that may be set."""
CALLERS = 4 * THREADS
ANSWERED_WITHIN = 9.0
"""Seconds. The answer comes after 1.8 but for what a busy machine adds; without it a probe waits
for the connection, which gives up after ten."""


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
def crowd(url: str) -> Iterator["Counter[int]"]:
    """More callers of verification and the API than there are threads, who ask again and again: how
    often they were answered what."""
    is_over, answered = threading.Event(), Counter[int]()

    def call(path: str) -> None:
        while not is_over.is_set():
            with suppress(OSError, http.client.HTTPException):
                unknown = {"Authorization": f"APIKey {keys.make(1).spell()}"}
                answered[status_of(Request(f"{url}{path}", headers=unknown), patience=60)] += 1

    paths = [("/iam/auth/verify", "/iam/clients/me")[each % 2] for each in range(CALLERS)]
    callers = [threading.Thread(target=call, args=[path], daemon=True) for path in paths]
    for each in callers:
        each.start()
    try:
        yield answered
    finally:
        is_over.set()


def status_of(request: Request, *, patience: float) -> int:
    try:
        with urllib.request.urlopen(request, timeout=patience) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def probe(url: str) -> tuple[int, float]:
    """The status, and how many seconds it took."""
    began = time.monotonic()
    status = status_of(Request(url), patience=60)
    return status, time.monotonic() - began


def assert_probes_are_answered(url: str) -> None:
    for path, expected in (("/livez", 200), ("/readyz", 503)):
        status, took = probe(f"{url}{path}")
        assert (status, took < ANSWERED_WITHIN) == (expected, True), (path, took)


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
            crowd(portal.url) as answered,
        ):
            wait_until(lambda: answered[503] > 0)  # all that may wait for the database do
            for _each in range(3):
                assert_probes_are_answered(portal.url)
