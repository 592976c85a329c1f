"""The list of variables, and those that were renamed."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env.variables import (
    FORMER_NAMES,
    READ_BY_LAUNCHER,
    READ_BY_SETTINGS,
    VARIABLES,
    refuse_former_names,
)
from tests import services
from tests.launcher.portal import ROOT, environment_of

SENTENCE = (
    "The settings can't be used: Some variables have new names: "
    "VERIFY_STALE_SECONDS is now VERIFY_CACHE_SECONDS."
)


@pytest.mark.parametrize(
    ("names", "file"),
    [(READ_BY_SETTINGS, "settings.py"), (READ_BY_LAUNCHER, "launcher/__main__.py")],
)
def test_every_variable_is_read(names: tuple[str, ...], file: str) -> None:
    code = (ROOT / "config" / file).read_text()
    assert [name for name in names if f'"{name}"' not in code] == []


def test_new_names_are_read_and_former_ones_are_not() -> None:
    assert set(FORMER_NAMES.values()) <= set(VARIABLES)
    assert not FORMER_NAMES.keys() & set(VARIABLES)


def test_new_names_are_welcome() -> None:
    refuse_former_names(dict.fromkeys(VARIABLES, "1"))


def test_every_former_name_is_refused_with_the_new_one() -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        refuse_former_names(dict.fromkeys(FORMER_NAMES, ""))
    for old, new in FORMER_NAMES.items():
        assert f"{old} is now {new}" in str(refusal.value)


@pytest.mark.parametrize("command", [("manage.py", "status"), ("-m", "config.launcher")])
def test_no_process_starts_with_a_former_name(command: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment_of(tmp_path, port=services.free_port(), VERIFY_STALE_SECONDS="1"),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{SENTENCE}\n")
