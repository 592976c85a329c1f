"""`python -m benchmarks.notices.steps STEP …`: one step in a process of its own, measured there.

Prints a line of JSON: what was done, in how many seconds, with how many queries, how much memory.
"""

import json
import os
import re
import smtplib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

Figures = dict[str, Any]


def scan() -> Figures:
    from django.utils import timezone

    from apitokens.expiry import scan as expiry

    done = expiry.scan(at=timezone.now())
    return {"tokens": done.tokens, "notices": done.notices, "mails": done.mails}


def deliver() -> Figures:
    from notifications.email import delivery

    outcome = delivery.deliver()
    assert outcome.sent == outcome.total, outcome
    return {"mails": outcome.sent}


def bare(number: int) -> Figures:
    """Push the same mails, ready-made, one after the other: the least any sender has to do."""
    samples = _samples(min(number, 200))
    began = time.perf_counter()
    with smtplib.SMTP(os.environ["BENCH_HOST"], int(os.environ["BENCH_PORT"])) as smtp:
        for place in range(number):
            sender, recipient, content = samples[place % len(samples)]
            smtp.sendmail(sender, [recipient], content)
    seconds = time.perf_counter() - began
    size = sum(len(content) for _sender, _recipient, content in samples) // len(samples)
    return {"mails": number, "seconds": seconds, "bytes_each": size}


def _samples(number: int) -> list[tuple[str, str, bytes]]:
    from django.utils import timezone

    from notifications.email import rendering
    from notifications.models import Mail

    found = []
    for mail in Mail.objects.select_related("user", "account").order_by("next_try_at")[:number]:
        rendered = rendering.render_mail(mail, at=timezone.now())
        assert rendered is not None
        message = rendering.build_message(mail, rendered)
        content = message.message().as_bytes(linesep="\r\n")
        found.append((message.from_email, mail.user.email, content))
    return found


def _peak() -> float:
    """The most memory this process has ever had, in MB. `getrusage` would tell of the process that
    started it as well."""
    (line,) = re.findall(
        r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE
    )
    return int(line) / 1024


STEPS: dict[str, Callable[..., Figures]] = {"scan": scan, "deliver": deliver, "bare": bare}


def main(step: str, *arguments: str) -> None:
    django.setup()
    from django.db import connection

    _samples(1)  # a worker has done its imports long ago
    queries = 0

    def count(execute: Callable[..., Any], *call: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*call)

    with connection.execute_wrapper(count):
        began, worked = time.perf_counter(), time.process_time()
        figures = STEPS[step](*map(int, arguments))
        seconds = time.perf_counter() - began
    cpu = time.process_time() - worked
    figures = {"seconds": seconds, **figures, "queries": queries, "peak_mb": _peak(), "cpu": cpu}
    sys.stdout.write(f"{json.dumps(figures)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
