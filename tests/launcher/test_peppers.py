"""Processes that share a database and not their peppers: the second does not serve."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launcher.portal import ROOT, environment_of
from tests.services import free_port

WRONG = f"1:{'f5' * 32}"
GRANIAN = ("-m", "granian", "--interface", "wsgi", "--no-ws", "--workers", "2", "--port", "{port}")
PROGRAMS = {
    "web server": (*GRANIAN, "config.wsgi:application"),
    "worker": ("-m", "celery", "-A", "config", "worker", "--concurrency", "1"),
    "launcher": ("-m", "config.launcher"),
}


@pytest.fixture
def environment(used_data_dir: Path) -> dict[str, str]:
    """A portal whose database knows the right pepper."""
    return environment_of(used_data_dir, port=free_port())


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_with_a_wrong_pepper_ends_and_says_why(
    environment: dict[str, str], program: str
) -> None:
    command = [part.replace("{port}", environment["PORT"]) for part in PROGRAMS[program]]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment | {"TOKEN_PEPPERS": WRONG},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode != 0, said
    assert "Pepper 1 of this process is not the one that the database knows" in said
    assert "Traceback" not in said
