"""`make bench-notices`: how fast people are told, beside a bare loop that only pushes mails."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import environment, services
from tests.faults import chaos

ROOT = Path(__file__).resolve().parent.parent.parent
ROUNDS = 3
"""The machine may be busier in one than in the next."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.notices", description=__doc__)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=10_000)
    cores = os.cpu_count() or 1
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--senders", type=int, nargs="+", default=sorted({1, cores, cores + 1}))
    options = parser.parse_args()
    environment.forget_own_portal()
    with (
        tempfile.TemporaryDirectory(prefix="permatoken-bench-") as name,
        services.postgresql() as database,
        chaos.mail_server(None) as server,
    ):
        port = server.port
        os.environ.update(
            DATA_DIR=name,
            DATABASE_URL=database,
            EMAIL_URL=f"smtp://127.0.0.1:{port}",
            BENCH_HOST="127.0.0.1",
            BENCH_PORT=str(port),
            LOG_LEVEL="WARNING",
        )
        _plant(options)
        _measure(options.senders, options.rounds)


def _plant(options: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from benchmarks.notices import seed

    _say(f"Planting {options.tokens:,} tokens, {options.due:,} of them due…")
    call_command("migrate", verbosity=0, interactive=False)
    seed.plant(tokens=options.tokens, due=options.due, people=options.people, at=timezone.now())


def _measure(crowds: list[int], rounds: int) -> None:
    _say(f"\n{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    _say(_versions())
    _explain()
    scan = _step("scan")
    _say(
        f"\nScan: {scan['tokens']:,} tokens, {scan['notices']:,} decisions, "
        f"{scan['mails']:,} mails in {scan['seconds']:.1f} s: "
        f"{scan['tokens'] / scan['seconds']:,.0f} tokens/s, {scan['queries']:,} queries, "
        f"{scan['peak_mb']:.0f} MB at most"
    )
    bare: list[float] = []
    ours: dict[int, list[float]] = {crowd: [] for crowd in crowds}
    peak = 0.0
    for _round in range(rounds):
        for crowd in crowds:
            mails = _let_wait()
            pushed = _step("bare", str(mails))
            told = _deliver(crowd)
            assert told["mails"] == mails
            bare.append(mails / pushed["seconds"])
            ours[crowd].append(told["rate"])
            peak = max(peak, told["peak_mb"])
            _say(
                f"{mails:,} mails of {pushed['bytes_each'] / 1024:.0f} KB, {crowd} at work: "
                f"{told['rate']:,.0f} mails/s, {told['cpu'] / mails * 1000:.1f} ms of CPU and "
                f"{told['queries'] / mails:.1f} queries each; "
                f"bare loop {bare[-1]:,.0f} mails/s; ratio {told['rate'] / bare[-1]:.2f}"
            )
    for crowd, rates in ours.items():
        ratio = statistics.median(rates) / statistics.median(bare)
        _say(f"Median with {crowd} at work: {statistics.median(rates):,.0f} mails/s, {ratio:.2f}")
    _say(f"Bare loop: {statistics.median(bare):,.0f} mails/s. A sender took {peak:.0f} MB at most.")


def _deliver(senders: int) -> dict[str, Any]:
    """So many senders at once; the slowest one's time counts."""
    running = [_start("deliver") for _sender in range(senders)]
    figures = [_figures(each) for each in running]
    mails = sum(each["mails"] for each in figures)
    return {
        "mails": mails,
        "rate": mails / max(each["seconds"] for each in figures),
        "queries": sum(each["queries"] for each in figures),
        "peak_mb": max(each["peak_mb"] for each in figures),
        "cpu": sum(each["cpu"] for each in figures),
    }


def _let_wait() -> int:
    """Let all mails wait, as after the scan. What the update leaves behind is no part of what is
    measured. Returns how many they are."""
    from django.db import connection

    from notifications.models import Mail, State

    number: int = Mail.objects.update(state=State.PENDING, owner="", sent_at=None)
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {Mail._meta.db_table}")
    return number


def _explain() -> None:
    """The plan of the question that every scan begins with."""
    from django.utils import timezone

    from apitokens.expiry import scan as expiry

    plan = expiry.counted(timezone.now())[: expiry.ACCOUNTS_LOOKED_AHEAD].explain(analyze=True)
    _say(f"\nThe due scan:\n{plan}")


def _versions() -> str:
    import django
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (postgresql,) = cursor.fetchone()
    return f"Django {django.__version__}, PostgreSQL {postgresql}, aiosmtpd in its own process"


def _step(*command: str) -> dict[str, Any]:
    return _figures(_start(*command))


def _start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.notices.steps", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def _figures(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _err = process.communicate()
    assert process.returncode == 0
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    return figures


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
