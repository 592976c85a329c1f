"""Firefox, driven by its own protocol: a length, a colon, and the same commands in JSON."""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.engines.driver import SECONDS, Refused
from tests.portal import free_port

NAMES = ("firefox-esr", "firefox")
MISSING = "needs Firefox; get it with: apt-get install firefox-esr"
PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "intl.accept_languages": "en",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}


def path() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Marionette:
    """The connection to a Firefox."""

    def __init__(self, connection: socket.socket) -> None:
        self.stream = connection.makefile("rwb")
        self.count = 0
        self._read()  # it says which version it speaks

    def call(self, command: str, **facts: Any) -> Any:
        self.count += 1
        message = json.dumps([0, self.count, f"WebDriver:{command}", facts]).encode()
        self.stream.write(b"%d:%s" % (len(message), message))
        self.stream.flush()
        _kind, _number, error, answer = self._read()
        if error:
            raise Refused(error["message"])
        return answer["value"] if isinstance(answer, dict) and "value" in answer else answer

    def _read(self) -> Any:
        digits = b""
        while (byte := self.stream.read(1)) != b":":
            if not byte:
                raise Refused("Firefox has ended.")
            digits += byte
        return json.loads(self.stream.read(int(digits)))


@contextlib.contextmanager
def firefox(
    *, size: tuple[int, int] = (1440, 900), is_dark: bool = False, runs_scripts: bool = True
) -> Iterator[Marionette]:
    """A Firefox of its own, with an empty profile, until the block ends."""
    program, port = path(), free_port()
    assert program is not None, MISSING
    wanted = {
        **PREFERENCES,
        "marionette.port": port,
        "layout.css.prefers-color-scheme.content-override": 0 if is_dark else 1,
        "javascript.enabled": runs_scripts,
    }
    with tempfile.TemporaryDirectory() as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(to)});" for name, to in wanted.items()]
        Path(profile, "user.js").write_text("\n".join(lines))
        process = subprocess.Popen(
            [
                *(program, "--headless", "--marionette", "--no-remote", "--profile", profile),
                *(f"--width={size[0]}", f"--height={size[1]}"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with _connect(port) as connection:
                driver = Marionette(connection)
                driver.call("NewSession", capabilities={})
                driver.call("SetWindowRect", width=size[0], height=size[1])
                yield driver
        finally:
            process.terminate()
            process.wait(timeout=SECONDS)


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + 4 * SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=4 * SECONDS)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
