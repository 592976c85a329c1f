"""deploy/permatoken.env has every setting; deploy/make-secrets makes secrets that are taken."""

import os
import re
import runpy
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config.env.variables import CREDENTIALS, FILES, SECRETS, VARIABLES
from tests.portal import ROOT

FILE = ROOT / "deploy" / "permatoken.env"
_LINE = re.compile(r"^(#?)([A-Z_]+)=(.*)$", re.MULTILINE)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in (*VARIABLES, *FILES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return monkeypatch


def load() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "config" / "settings.py"))


def test_every_setting_is_in_the_file_once() -> None:
    names = [name for _hash, name, _value in _LINE.findall(FILE.read_text())]

    assert sorted(names) == sorted((*VARIABLES, *FILES))


def test_what_is_set_there_is_taken(bare: pytest.MonkeyPatch) -> None:
    given = {
        name: value.strip('"')
        for hash_, name, value in _LINE.findall(FILE.read_text())
        if not hash_
    }
    for name, value in given.items():
        if name != "DATA_DIR":
            bare.setenv(name, value)

    found = load()

    assert found["BASE_URL"] == "https://tokens.example.com"
    assert found["DEFAULT_FROM_EMAIL"] == "Permatoken <noreply@example.com>"


def test_what_is_commented_out_is_the_default(bare: pytest.MonkeyPatch) -> None:
    """But for names and places, which are examples."""
    bare.setenv("BASE_URL", "https://tokens.example.com")
    unset = load()
    for hash_, name, value in _LINE.findall(FILE.read_text()):
        if hash_ and name not in (*SECRETS, *FILES, "ALLOWED_HOSTS", "STATIC_DIR"):
            bare.setenv(name, value)

    written = load()

    names = [name for name in unset if name.isupper()]
    assert {name: written[name] for name in names} == {name: unset[name] for name in names}


def test_shell_reads_it_as_it_is_written() -> None:
    script = f'set -eu; . {FILE}; printf %s "$FROM_EMAIL"'

    done = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True)

    assert done.stdout == "Permatoken <noreply@example.com>"


@pytest.mark.parametrize(
    ("shape", "host"), [((), "%2Frun%2Fpostgresql"), (("--compose",), "@postgres:5432")]
)
def test_made_secrets_are_taken_and_stay(
    shape: tuple[str, ...], host: str, bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    make = [str(ROOT / "deploy" / "make-secrets"), *shape, str(folder)]
    subprocess.run(make, check=True)
    first = {file.name: file.read_text() for file in folder.iterdir()}
    subprocess.run(make, check=True)

    bare.setenv(CREDENTIALS, str(folder))
    found = load()

    assert {file.name: file.read_text() for file in folder.iterdir()} == first
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert host in first["database_url"]
    assert found["SECRET_KEY"] == first["secret_key"].strip()
    assert found["DATABASES"]["default"]["USER"] == "permatoken"
    assert found["REDIS_URL"] == first["redis_url"].strip()
    assert list(found["TOKEN_PEPPERS"]) == [1]
    assert len(found["METRICS_TOKEN"]) == 64


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")
def test_command_runs_with_the_settings_and_secrets_of_the_units(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    subprocess.run([ROOT / "deploy" / "make-secrets", etc / "credentials"], check=True)
    (etc / "permatoken.env").write_text(
        f'DATA_DIR={tmp_path / "data"}\nFROM_EMAIL="A b <a@b.example>"\nWEB_THREADS=many\n'
    )
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    done = subprocess.run(
        [ROOT / "deploy" / "systemd" / "permatoken-run", "manage", "check"],
        env={**keep, "PERMATOKEN_ETC": str(etc), "PERMATOKEN_USER": "root"},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("The settings can't be used: WEB_THREADS must be")
