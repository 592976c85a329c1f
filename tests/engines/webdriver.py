"""WebKit and Chromium, each behind the WebDriver server that comes with it."""

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from tests.engines.driver import SECONDS, Refused
from tests.portal import free_port

COMMANDS = {
    "Navigate": ("POST", "/url"),
    "ExecuteScript": ("POST", "/execute/sync"),
    "ElementClick": ("POST", "/element/{id}/click"),
    "ElementClear": ("POST", "/element/{id}/clear"),
    "ElementSendKeys": ("POST", "/element/{id}/value"),
    "TakeScreenshot": ("GET", "/screenshot"),
    "SetWindowRect": ("POST", "/window/rect"),
    "GetWindowRect": ("GET", "/window/rect"),
}
WEBKIT_MISSING = (
    "needs WebKitWebDriver and an X server; get them with: apt-get install webkit2gtk-driver xvfb"
)


class Session:
    """One browser behind a WebDriver server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, command: str, **facts: Any) -> Any:
        method, path = COMMANDS[command]
        where = self.url + path.format(**facts)
        facts.pop("id", None)
        return _send(method, where, facts if method == "POST" else None)


def is_webkit_here() -> bool:
    return all(map(shutil.which, ("WebKitWebDriver", "Xvfb")))


@contextlib.contextmanager
def webkit(
    *, size: tuple[int, int] = (1440, 900), is_dark: bool = False, runs_scripts: bool = True
) -> Iterator[Session]:
    """WebKitGTK's own small browser, on a screen of its own, until the block ends."""
    with _screen(size) as screen:
        theme = {"GTK_THEME": "Adwaita:dark"} if is_dark else {}
        environment = {**os.environ, **theme, "DISPLAY": screen, "LANG": "C.UTF-8"}
        port = free_port()
        server = ("WebKitWebDriver", f"--port={port}")
        with _served(server, port, environment) as url:
            scripts = f"--enable-javascript-markup={str(runs_scripts).lower()}"
            capabilities = {"webkitgtk:browserOptions": {"args": ["--automation", scripts]}}
            session = _begin(url, capabilities)
            try:
                session.call("SetWindowRect", x=0, y=0, width=size[0], height=size[1])
                yield session
            finally:
                _send("DELETE", session.url, None)


def _begin(url: str, capabilities: Mapping[str, Any]) -> Session:
    wanted = {"capabilities": {"alwaysMatch": capabilities}}
    return Session(f"{url}/session/{_send('POST', f'{url}/session', wanted)['sessionId']}")


def _send(method: str, url: str, facts: Any) -> Any:
    body = json.dumps(facts).encode() if facts is not None else None
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=4 * SECONDS) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise Refused(error.read().decode()) from error


@contextlib.contextmanager
def _screen(size: tuple[int, int]) -> Iterator[str]:
    """An X server without a screen that anybody sees."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [
            *("Xvfb", "-displayfd", str(write), "-nolisten", "tcp"),
            *("-screen", "0", f"{size[0]}x{size[1] + 100}x24"),
        ],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as number:
            yield f":{number.readline().strip()}"
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)


@contextlib.contextmanager
def _served(command: tuple[str, ...], port: int, environment: Mapping[str, str]) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 4 * SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{url}/status", timeout=SECONDS).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)
