"""A start on a disk that is really full, or gets full on the way, says so in one sentence."""

import http.client
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.disks import fill, mounted
from tests.launcher.portal import PATIENCE, ROOT, environment_of, wait_until
from tests.portal import DEMO

MIB = 1 << 20
SENTENCE = "There is no room left on the disk of DATA_DIR {}. Make room, then start again."


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Without root, tests/config/launcher/test_full_disk.py has the faults alone."""
    with mounted(tmp_path / "disk") as place:
        yield place


def demo_token(data_dir: Path) -> str:
    """The token in the line that the demo tells newcomers to try."""
    told = re.search(r"APIKey (\S+?)'", (data_dir / DEMO).read_text())
    assert told is not None
    return told[1]


def verified(port: int, token: str) -> int | None:
    """How a verification is answered; None while nothing answers."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        try:
            connection.request(
                "GET", "/iam/auth/verify", headers={"Authorization": f"APIKey {token}"}
            )
            return connection.getresponse().status
        except OSError:
            return None


OF_COMMANDS = "Storage is full: "
STARTS = {
    "make run": (sys.executable, "-m", "config.launcher"),
    "permatoken migrate": (ROOT / "deploy" / "permatoken", "migrate"),
}


@pytest.mark.parametrize("room", [0, 2 * MIB])
@pytest.mark.parametrize("start", STARTS)
def test_full_disk_is_said_wherever_a_first_start_comes_upon_it(
    small_disk: Path, port: int, start: str, room: int
) -> None:
    fill(small_disk, but=room)

    done = subprocess.run(
        STARTS[start],
        cwd=ROOT,
        env=environment_of(small_disk / "var", port=port),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == 1, done.stderr
    said = done.stderr.splitlines()[-1]
    assert said == SENTENCE.format(small_disk / "var") or said.startswith(OF_COMMANDS), said
    assert "Traceback" not in done.stdout + done.stderr


def test_web_that_starts_again_on_a_full_disk_verifies(
    small_disk: Path, used_data_dir: Path, port: int
) -> None:
    """While anything else of the portal runs: the files beside the database are there then."""
    data_dir = shutil.copytree(used_data_dir, small_disk / "var")
    token, log = demo_token(data_dir), small_disk.parent / "log"
    environment = environment_of(data_dir, port=port, WEB_WORKERS="1")
    with (
        closing(sqlite3.connect(data_dir / "permatoken.sqlite3")) as worker,
        log.open("wb") as into,
    ):
        worker.execute("SELECT count(*) FROM accounts_account")
        fill(small_disk, but=0)
        process = subprocess.Popen(
            [ROOT / "deploy" / "permatoken", "web"], env=environment, stdout=into, stderr=into
        )
        try:
            wait_until(lambda: process.poll() is not None or verified(port, token) is not None)
            assert verified(port, token) == 200, log.read_text()
        finally:
            process.terminate()
            process.wait(timeout=60)
    assert "Traceback" not in log.read_text()
