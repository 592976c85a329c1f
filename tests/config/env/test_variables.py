"""The list of variables, and those that were renamed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env.variables import (
    FILES,
    FORMER_NAMES,
    READ_BY_LAUNCHER,
    READ_BY_SETTINGS,
    VARIABLES,
    refuse_former_names,
    refuse_slips,
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


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("BASE_URL_FILE", "only secrets may stand in files. Set BASE_URL itself."),
        ("FROM_EMAIL_FILE", "Set FROM_EMAIL itself."),
        ("TOKEN_PEPPER", "You may mean TOKEN_PEPPERS."),
        ("TRUSTED_PROXY", "You may mean TRUSTED_PROXIES."),
        ("TRUSTED_PROXY_", ""),
        ("ALLOWED_HOST", "You may mean ALLOWED_HOSTS."),
        ("REDIS_URLS", "You may mean REDIS_URL."),
    ],
)
def test_name_with_a_slip_is_refused_and_no_other(name: str, why: str) -> None:
    if not why:
        refuse_slips({name: "1"})
        return
    with pytest.raises(ImproperlyConfigured, match=re.escape(why)):
        refuse_slips({name: "1"})


def test_no_name_that_is_read_is_taken_for_a_slip() -> None:
    refuse_slips(dict.fromkeys((*VARIABLES, *FILES, "HOSTS", "PORTS", "PATH"), "1"))


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
