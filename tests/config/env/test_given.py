"""Secrets may stand in files, each once."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env.given import LARGEST, given
from config.env.variables import MAY_BE_EMPTY, SECRETS
from tests.launcher.portal import ROOT, environment_of
from tests.portal import free_port

SECRET = "swordfish"


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("written", [SECRET, f"{SECRET}\n", f"{SECRET}\r\n", f"\ufeff{SECRET}\n"])
def test_secret_is_read_from_the_file_that_is_named(
    name: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(written, newline="")
    monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{name}_FILE", str(file))

    assert given(name) == SECRET


@pytest.mark.parametrize("name", ["email_url", "EMAIL_URL"])
def test_secret_is_read_from_a_credential_of_systemd(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text(f"smtp://u:{SECRET}@a\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert (given("EMAIL_URL"), given("BASE_URL")) == (f"smtp://u:{SECRET}@a", "")


def test_what_is_no_secret_is_read_from_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL_FILE", "/etc/hostname")

    assert given("BASE_URL") == ""


def test_secret_that_is_given_twice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret_key"
    file.write_text(SECRET)
    monkeypatch.setenv("SECRET_KEY_FILE", str(file))
    monkeypatch.setenv("SECRET_KEY", SECRET)
    with pytest.raises(ImproperlyConfigured, match="the variable itself and by SECRET_KEY_FILE"):
        given("SECRET_KEY")

    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(ImproperlyConfigured, match="_FILE and by the credential secret_key"):
        given("SECRET_KEY")


@pytest.mark.parametrize("name", MAY_BE_EMPTY)
def test_empty_file_of_what_may_be_missing_is_as_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / name.lower()
    file.write_text("")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert given(name) == ""

    monkeypatch.setenv(name, SECRET)
    assert given(name) == SECRET

    monkeypatch.delenv(name)
    file.write_text(f"{SECRET}\n")
    assert given(name) == SECRET


def test_file_that_is_not_there_is_refused_also_for_what_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTRY_DSN_FILE", str(tmp_path / "gone"))

    with pytest.raises(ImproperlyConfigured, match="No such file"):
        given("SENTRY_DSN")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"\n", "empty"), (b"x" * (LARGEST + 1), "large"), (b"\xff", "UTF-8")],
)
def test_file_that_is_no_good_is_refused_by_every_process(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "peppers"
    if content is not None:
        file.write_bytes(content)
    environment = environment_of(tmp_path, port=free_port()) | {"TOKEN_PEPPERS_FILE": str(file)}

    for command in (
        ("manage.py", "check"),
        ("-m", "config.launcher"),
        ("-m", "celery", "-A", "config", "inspect", "ping"),
    ):
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert f"TOKEN_PEPPERS must be in the file {file}, which TOKEN_PEPPERS_FILE" in done.stderr
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1
        if content is not None:
            break  # one is enough: they ask the same
