"""An application with files that take time to make, for `test_slow_files`."""

import threading
from collections.abc import Iterator
from typing import Any

from config.server.responses import FILE_SECONDS, send_whole

BEGINNING, REST = b'"id","name"\r\n', b'"1","Deploys"\r\n'
WAIT_SECONDS = 20
_may_go_on, _was_closed = threading.Event(), threading.Event()


class _File:
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def close(self) -> None:
        _was_closed.set()


def _beginning_first() -> Iterator[bytes]:
    """The beginning, and the rest when somebody asks for `/go-on`."""
    threading.Event().wait(2 * FILE_SECONDS)
    yield BEGINNING
    yield REST if _may_go_on.wait(WAIT_SECONDS) else b"Nobody has read the beginning."


def _without_end() -> Iterator[bytes]:
    while not _was_closed.is_set():
        yield REST * 10_000


def _serve(environ: dict[str, Any], start_response: Any) -> Any:
    files = {"/file": _beginning_first, "/without-end": _without_end}
    path = environ["PATH_INFO"]
    if path in files:
        _was_closed.clear()
        start_response("200 OK", [("Content-Disposition", "attachment")])
        return _File(files[path]())
    if path == "/go-on":
        _may_go_on.set()
    start_response("200 OK", [])
    return [str(path != "/was-closed" or _was_closed.wait(WAIT_SECONDS)).encode()]


application = send_whole(_serve)
