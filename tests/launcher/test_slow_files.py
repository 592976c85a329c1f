"""A file that takes time to make, by the server that we start: its beginning comes at once, and it
is made no longer than there is somebody to read it."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.launcher.slow_files import BEGINNING, REST
from tests.portal import GRANIAN, ROOT, free_port

APPLICATION = "tests.launcher.slow_files:application"
START_SECONDS = 60


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where granian serves the files."""
    port = free_port()
    words = [each.replace("{port}", str(port)) for each in GRANIAN]
    process = subprocess.Popen(
        [sys.executable, "-m", *words, "--blocking-threads", "4", APPLICATION],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            assert read(port, "/") == b"True"
            return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)


@contextmanager
def asked(port: int, path: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path)
        yield connection.getresponse()


def read(port: int, path: str) -> bytes:
    with asked(port, path) as answer:
        return answer.read()


def test_beginning_comes_while_the_rest_is_made(port: int) -> None:
    with asked(port, "/file") as file:
        assert file.read(len(BEGINNING)) == BEGINNING
        read(port, "/go-on")
        assert file.read() == REST
    assert read(port, "/was-closed") == b"True"


def test_file_is_made_no_longer_when_its_reader_has_left(port: int) -> None:
    with asked(port, "/without-end") as file:
        assert file.read(len(REST)) == REST
    assert read(port, "/was-closed") == b"True"
