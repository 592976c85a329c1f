"""Processes that share a database and not their peppers: the second does not serve, whether its
pepper is another one, is missing, or was made anew because nobody gave it one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.env.start import WRONG_SETTING
from tests.launcher.portal import PATIENCE, ROOT, environment_of
from tests.services import free_port

ANOTHER, LACKING = {"TOKEN_PEPPERS": f"1:{'f5' * 32}"}, {"TOKEN_PEPPERS": f"7:{'f5' * 32}"}
NOT_THE_ONE = "Pepper 1 of this process is not the one that the database knows"
LACKS = "depend on pepper 1, which TOKEN_PEPPERS lacks"
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


@pytest.mark.parametrize(
    ("program", "peppers", "sentence"),
    [
        *((program, ANOTHER, NOT_THE_ONE) for program in PROGRAMS),
        *((program, LACKING, LACKS) for program in ("web server", "launcher")),
    ],
)
def test_program_with_wrong_peppers_ends_and_says_why(
    environment: dict[str, str], program: str, peppers: dict[str, str], sentence: str
) -> None:
    said = said_by(program, environment | peppers)

    assert sentence in said
    assert "Traceback" not in said


def test_launcher_ends_as_for_any_wrong_setting(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *PROGRAMS["launcher"]],
        cwd=ROOT,
        env=environment | ANOTHER,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == WRONG_SETTING


def test_web_server_that_makes_peppers_of_its_own_ends_and_says_why(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """On a second machine without TOKEN_PEPPERS, with the database of the first."""
    database = Path(environment["DATA_DIR"], "permatoken.sqlite3")
    secret_key = Path(environment["DATA_DIR"], "secret_key").read_text().strip()
    own = {"DATA_DIR": str(tmp_path / "second"), "SECRET_KEY": secret_key}

    said = said_by("web server", environment | own | {"DATABASE_URL": f"sqlite:///{database}"})

    assert NOT_THE_ONE in said
    assert "Traceback" not in said


def said_by(program: str, environment: dict[str, str]) -> str:
    """What the program says before it ends, which is not well."""
    command = [part.replace("{port}", environment["PORT"]) for part in PROGRAMS[program]]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
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
    return said
