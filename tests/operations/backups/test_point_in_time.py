"""PostgreSQL goes back to a point in time by its own means, and the portal goes on from there."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import services
from tests.operations.backups.test_there_and_back import BEGIN, DELIVER, LOOK, PROGRAMS, place
from tests.portal import shell

pytestmark = pytest.mark.long


def run(*words: str, **more: object) -> None:
    # As its wheel does: PostgreSQL does not run as root.
    user = {"user": "pgserver"} if os.geteuid() == 0 else {}
    subprocess.run(
        [str(PROGRAMS / words[0]), *words[1:]],
        check=True,
        stdout=subprocess.DEVNULL,
        **user,
        **more,
    )  # type: ignore[call-overload]  # the words of subprocess


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder into which PostgreSQL's user may look. (Each run of pytest closes pytest's own.)"""
    with tempfile.TemporaryDirectory(prefix="permatoken-point-in-time-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_portal_goes_on_from_a_point_in_time(folder: Path) -> None:
    work = folder / "work"
    wal, base = work / "wal", work / "base"
    wal.mkdir(parents=True)
    for each in (work, wal):
        each.chmod(0o777)
    with services.postgresql() as url:
        with psycopg.connect(url, autocommit=True) as server:
            for setting in (
                "wal_level = replica",
                "archive_mode = on",
                f"archive_command = 'test ! -f {wal}/%f && cp %p {wal}/%f'",
            ):
                server.execute(f"ALTER SYSTEM SET {setting}")
            (data,) = server.execute("SHOW data_directory").fetchone() or ("",)
        run("pg_ctl", "restart", "-w", "-D", data, "-l", f"{work}/log")
        here = place(folder / "here", DATABASE_URL=url)
        with shell(here.environment) as running:
            running.command("migrate", verbosity=0)
            Path(data, ".handle_pids.json").chmod(0o644)  # is the wheel's, and root's
            run("pg_basebackup", f"--pgdata={base}", "--checkpoint=fast", f"--dbname={url}")
            token = eval(running.run(BEGIN))
            time.sleep(1)
            with psycopg.connect(url, autocommit=True) as server:
                (moment,) = server.execute("SELECT now()").fetchone() or (None,)
            assert moment is not None
            time.sleep(1)
            running.run(DELIVER)  # is undone
            with psycopg.connect(url, autocommit=True) as server:
                server.execute("SELECT pg_switch_wal()")
        deadline = time.monotonic() + 30
        while len(list(wal.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        run("pg_ctl", "stop", "-w", "-D", data)
        with (base / "postgresql.auto.conf").open("a") as file:
            file.write(f"archive_mode = off\nrestore_command = 'cp {wal}/%f %p'\n")
            file.write(f"recovery_target_time = '{moment.isoformat()}'\n")
            file.write("recovery_target_action = 'promote'\n")
            file.write(f"unix_socket_directories = '{work}'\nlisten_addresses = ''\n")
        (base / "recovery.signal").touch()
        run("pg_ctl", "start", "-w", "-D", str(base), "-l", f"{work}/log2")
        try:
            again = place(
                here.data_dir, DATABASE_URL=f"postgresql://postgres@/postgres?host={work}"
            )
            shutil.rmtree(here.data_dir / "mail")
            code, said = again.manage("settle_restored", "--made-at", moment.isoformat())
            assert (code, "1 emails are on hold" in said) == (0, True), said
            with shell(again.environment) as elsewhere:
                found = eval(elsewhere.run(LOOK.format(token=token)))
            assert found["mails"] == ["held"]
            assert not (here.data_dir / "mail").exists()
        finally:
            run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(base))
            # As it ran before: with nothing but its socket, which stands with its data.
            alone = f"-k {data} -c listen_addresses="
            run("pg_ctl", "start", "-w", "-D", data, "-o", alone, "-l", f"{work}/log")
