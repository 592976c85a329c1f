"""`make bench-notices`: how long it takes until 10,000 people are told of 100,000 tokens.

A bare loop that only pushes ready-made mails is measured beside it, as information.
"""

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
AIM_SECONDS, AIM_SENDERS, AIM_MAILS = 180, 2, 10_000
"""10,000 people are told within 3 minutes by two senders on two cores."""


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
        _seed(options)
        _measure(options.senders, options.rounds)


def _seed(options: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from benchmarks.notices import seed

    _say(f"Making {options.tokens:,} tokens, {options.due:,} of them due…")
    call_command("migrate", verbosity=0, interactive=False)
    seed.fill(tokens=options.tokens, due=options.due, people=options.people, at=timezone.now())


def _measure(sender_counts: list[int], rounds: int) -> None:
    _say(f"\n{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    _say(_versions())
    _print_plan()
    scan = _step("scan")
    _say(
        f"\nScan: {scan['tokens']:,} tokens, {scan['notices']:,} decisions, "
        f"{scan['mails']:,} mails in {scan['seconds']:.1f} s: "
        f"{scan['tokens'] / scan['seconds']:,.0f} tokens/s, {scan['queries']:,} queries, "
        f"{scan['peak_mb']:.0f} MB at most"
    )
    bare: list[float] = []
    ours: dict[int, list[float]] = {senders: [] for senders in sender_counts}
    peak = 0.0
    for _round in range(rounds):
        for senders in sender_counts:
            mails = _reset_mails()
            pushed = _step("bare", str(mails))
            told = _deliver(senders)
            assert told["mails"] == mails
            bare.append(mails / pushed["seconds"])
            ours[senders].append(told["rate"])
            peak = max(peak, told["peak_mb"])
            _say(
                f"{mails:,} mails of {pushed['bytes_each'] / 1024:.0f} KB, {senders} at work: "
                f"{told['rate']:,.0f} mails/s, {told['cpu'] / mails * 1000:.1f} ms of CPU and "
                f"{told['queries'] / mails:.1f} queries each; "
                f"bare loop {bare[-1]:,.0f} mails/s"
            )
    for senders, rates in ours.items():
        rate = statistics.median(rates)
        _say(f"Median with {senders} at work: {rate:,.0f} mails/s; {_verdict(senders, rate)}")
    _say(f"Bare loop: {statistics.median(bare):,.0f} mails/s. A sender took {peak:.0f} MB at most.")


def _verdict(senders: int, rate: float) -> str:
    seconds = AIM_MAILS / rate
    told = f"{AIM_MAILS:,} people in {seconds:,.0f} s"
    if senders != AIM_SENDERS:
        return told
    return f"{told}, aim {AIM_SECONDS} s: {'reached' if seconds <= AIM_SECONDS else 'not reached'}"


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


def _reset_mails() -> int:
    """Make all mails due again, as after the scan. Dead rows of the update are not part of the
    measurement. Returns how many they are."""
    from django.db import connection

    from notifications.models import Mail, State

    number: int = Mail.objects.update(state=State.PENDING, owner="", sent_at=None)
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {Mail._meta.db_table}")
    return number


def _print_plan() -> None:
    """Print the plan of the query that every scan begins with."""
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
