"""`python -m benchmarks.pages_beside`: what pages cost a verification in the same process.

One thread asks about a token every few milliseconds; others render the sign-in page all the time,
and hold the interpreter as long as they may (`sys.setswitchinterval`).
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.waits import p99
from tests import environment

SECONDS, PAUSE = 5, 0.005
PYTHONS_OWN = sys.getswitchinterval()


def main() -> None:
    environment.forget_own_portal()
    with tempfile.TemporaryDirectory(prefix="permatoken-bench-") as folder:
        os.environ.update(DATA_DIR=folder, DJANGO_SETTINGS_MODULE="config.settings")
        ask = _prepare()
        from config.wsgi import SWITCH_SECONDS

        for pages in (1, 4):
            for interval in (PYTHONS_OWN, SWITCH_SECONDS) * 2:
                _say(_measure(ask, pages=pages, interval=interval))
        from apitokens.usage.flusher import usage_flusher

        usage_flusher.end()  # while there is a database


def _prepare() -> Callable[[], object]:
    """Make a portal in this process. Returns a question about a token that is good."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from tests.factories import MembershipFactory, issue

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    from config.wsgi import application

    token = issue(MembershipFactory.create(), at=timezone.now()).key.spell()
    head: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/iam/auth/verify",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "HTTP_AUTHORIZATION": f"APIKey {token}",
    }
    return lambda: application(dict(head), lambda *_answer: None)


def _measure(ask: Callable[[], object], *, pages: int, interval: float) -> str:
    from django.test import Client

    sys.setswitchinterval(interval)
    ends, rendered = threading.Event(), [0] * pages

    def render(place: int) -> None:
        browser = Client(SERVER_NAME="localhost")
        while not ends.is_set():
            assert browser.get("/sign-in/").status_code == 200
            rendered[place] += 1

    threads = [threading.Thread(target=render, args=(place,)) for place in range(pages)]
    for thread in threads:
        thread.start()
    waits, worked, end = list[float](), time.process_time(), time.perf_counter() + SECONDS
    while (now := time.perf_counter()) < end:
        ask()
        waits.append(1000 * (time.perf_counter() - now))
        time.sleep(PAUSE)
    worked = time.process_time() - worked
    ends.set()
    for thread in threads:
        thread.join()
    return (
        f"{pages} pages at once, interval {1000 * interval:.0f} ms: verify p50 "
        f"{statistics.median(waits):.2f}, p99 {p99(waits):.2f}, at most "
        f"{max(waits):.1f} ms; {sum(rendered) / worked:.0f} pages a second of CPU"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
