"""The quick forms of `make faults`: kills of real workers, in both shapes of the portal."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    ("shape", "kills"),
    [
        ("scaled", 5),
        ("embedded", 1),
        pytest.param("scaled", 20, marks=pytest.mark.long),
        pytest.param("embedded", 5, marks=pytest.mark.long),
    ],
)
def test_nothing_is_lost_and_nothing_doubled(shape: str, kills: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--shape", shape, "--kills", str(kills)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=270,
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout
