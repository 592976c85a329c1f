"""`python -m tests.faults`: prove "never lost, never twice" the hard way, and print the figures.

The shape "scaled" is PostgreSQL with Redis, "embedded" is SQLite with files.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

SECONDS_BETWEEN_KILLS = {"scaled": 1.0, "embedded": 4.0}
"""A worker of the second shape is a single process, and must be given the time to start."""


def main() -> int:
    """0 if nothing was lost and nothing doubled unflagged."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=250)
    parser.add_argument("--shape", choices=SECONDS_BETWEEN_KILLS, default="scaled")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_facts: sys.exit(1))  # and tidy up
    with tempfile.TemporaryDirectory(prefix="permatoken-faults-") as name:
        folder = Path(name)
        with _environment(options.shape, folder) as redis_url:
            return _run_chaos(options.shape, folder, redis_url, kills=options.kills)


@contextlib.contextmanager
def _environment(shape: str, folder: Path) -> Iterator[str | None]:
    """The settings of a fresh portal; yields the address of Redis, if it has one."""
    from tests import environment, portal, services

    environment.forget_own_portal()
    if shape == "embedded":
        shutil.copy(portal.prepared() / portal.EMPTY, folder / portal.DATABASE)
    os.environ.update(DATA_DIR=str(folder), NOTICES_EVERY_SECONDS="1", EMAIL_TIMEOUT="1")
    with contextlib.ExitStack() as stack:
        redis_url = None
        if shape == "scaled":
            os.environ["DATABASE_URL"] = stack.enter_context(services.postgresql())
            os.environ["REDIS_URL"] = redis_url = stack.enter_context(services.redis())
        yield redis_url


def _run_chaos(shape: str, folder: Path, redis_url: str | None, *, kills: int) -> int:
    from tests.faults import chaos

    record = folder / "taken.jsonl"
    with chaos.mail_server(record) as server:
        os.environ["EMAIL_URL"] = f"smtp://127.0.0.1:{server.port}"
        server.set(chaos.WELL)
        scenario = _prepare()
        every = SECONDS_BETWEEN_KILLS[shape]
        lasts = timedelta(seconds=kills * every * 1.1 + 5)
        with chaos.programs(folder) as (workers, beats):
            # On a busy machine whole runs have passed before there was a process to be killed.
            assert chaos.wait_until(scenario.is_at_work, within=90)
            scenario.begin(at=_now(), lasts=lasts, tokens_each=int(lasts.total_seconds()))
            began = time.monotonic()
            attack = chaos.Chaos(workers, beats, server, redis_url)
            attack.go_on(kills=kills, every=every)
            chaos.wait_until(
                lambda: scenario.is_over(_now()) and _is_past(began, lasts), within=150
            )
        verdict = scenario.judge(record)
    _say(
        f"{shape}: {attack.kills} kills, {attack.outages} SMTP outages, {attack.flushes} Redis "
        f"flushes in {time.monotonic() - began:.0f} s\n{verdict}"
    )
    too_many_doubts = verdict.in_doubt > attack.kills + verdict.doubts_left_by_server
    if verdict.is_good and not too_many_doubts:
        return 0
    _say((folder / "programs.log").read_text()[-6000:])
    return 1


def _prepare() -> ModuleType:
    """Migrate the database. Returns the scenario, which needs Django to be set up."""
    import django

    django.setup()
    from django.core.management import call_command

    from tests.faults import scenario

    call_command("migrate", verbosity=0, interactive=False)
    return scenario


def _is_past(began: float, lasts: timedelta) -> bool:
    return time.monotonic() - began > lasts.total_seconds() + 1


def _now() -> datetime:
    return datetime.now(UTC)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
