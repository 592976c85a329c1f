"""The field's official clients, each in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pytest_django.live_server_helper import LiveServer

from apitokens.keys import Key

DRIVER = Path(__file__).with_name("driver.py")
OLDEST, NEWEST = "0.44.0", "0.59.0"
# `make test` puts the older client beside the packages (scripts/environment.py).
FOLDERS: dict[str, Path | None] = {
    OLDEST: Path(sys.prefix) / "clients" / "gcore-0.44.0",
    NEWEST: None,
}

# The newer client speaks version 2 of the token paths.
SEPARATORS = {OLDEST: "$", NEWEST: "_"}


class Outcome(NamedTuple):
    """What a call of the client came to: an answer, or the error that it raised."""

    answer: Any
    error: str | None
    status: int | None
    body: Any
    text: str
    requests: int


class OfficialClient:
    """An official client of one version, in its synchronous or asynchronous form."""

    def __init__(self, process: "subprocess.Popen[str]", version: str, is_async: bool) -> None:
        self.process, self.version, self.is_async = process, version, is_async
        self.url = ""
        self.key = ""

    def ask(self, **asked: Any) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def call(self, call: str, *args: Any, **kwargs: Any) -> Outcome:
        """Call a method of the client by its dotted name."""
        told = self.ask(
            url=self.url,
            key=self.key,
            is_async=self.is_async,
            call=call,
            args=args,
            kwargs=kwargs,
        )
        return Outcome(
            answer=told.get("answer"),
            error=told.get("error"),
            status=told.get("status"),
            body=told.get("body"),
            text=told.get("text", ""),
            requests=told["requests"],
        )

    @property
    def separator(self) -> str:
        return SEPARATORS[self.version]

    def use(self, key: Key | str) -> None:
        """Authenticate with this token from now on."""
        self.key = key.spell() if isinstance(key, Key) else key


@pytest.fixture(scope="session", params=FOLDERS)
def driver(request: pytest.FixtureRequest) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A process that runs one version of the client."""
    version = str(request.param)
    folder = FOLDERS[version]
    path = {} if folder is None else {"PYTHONPATH": str(folder)}
    process = subprocess.Popen(
        [sys.executable, str(DRIVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **path},
        text=True,
    )
    try:
        yield version, process
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(timeout=10)


@pytest.fixture(params=["sync", pytest.param("async", marks=pytest.mark.long)])
def official(
    driver: tuple[str, "subprocess.Popen[str]"],
    request: pytest.FixtureRequest,
    live_server: LiveServer,
) -> OfficialClient:
    """An official client that talks to the served portal."""
    version, process = driver
    client = OfficialClient(process, version, request.param == "async")
    client.url = live_server.url
    return client
