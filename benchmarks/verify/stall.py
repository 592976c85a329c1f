"""`python -m benchmarks.verify.stall MODULE`: serves a WSGI application to itself, and measures.

Reads orders from the standard input, a line of JSON each, and answers each with a line: how much
CPU a request took, through the whole WSGI handler and without a network, and with which status.
"""

import gc
import importlib
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

BATCH = 250
"""Requests are made ready by so many at once: what that costs is not measured."""

Request = dict[str, Any]


def main(module: str) -> None:
    application = importlib.import_module(module).application
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(measure(application, **json.loads(line)))}\n")
        sys.stdout.flush()


def measure(
    application: Any, *, requests: list[Request], seconds: float, is_once: bool
) -> dict[str, Any]:
    """Send the requests around and around for so many seconds of CPU, or each of them once."""
    coming: Iterator[Request] = iter(requests) if is_once else cycle(requests)
    statuses: Counter[str] = Counter()
    spent, number = 0.0, 0

    def start_response(status: str, _headers: object, _error: object = None) -> None:
        statuses[status[:3]] += 1

    gc.collect()
    while spent < seconds and (batch := [_environ(each) for each in islice(coming, BATCH)]):
        began = time.process_time()
        for environ in batch:
            answer = application(environ, start_response)
            for _part in answer:
                pass
            if hasattr(answer, "close"):
                answer.close()
        spent += time.process_time() - began
        number += len(batch)
    return {"cpu_us": spent / number * 1e6, "requests": number, "statuses": dict(statuses)}


def _environ(request: Request) -> dict[str, Any]:
    """The environ that granian gives an application, for a request from this machine."""
    body = request.get("body", "").encode()
    environ = {
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_SOFTWARE": "stall",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": request["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": request["path"],
        "QUERY_STRING": "",
        "HTTP_HOST": "localhost:8000",
        "HTTP_ACCEPT": "*/*",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if body:
        environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
        environ["CONTENT_LENGTH"] = str(len(body))
    if request["authorization"]:
        environ["HTTP_AUTHORIZATION"] = request["authorization"]
    return environ


if __name__ == "__main__":
    main(sys.argv[1])
