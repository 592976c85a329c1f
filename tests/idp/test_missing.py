"""Machines without the identity providers: CI fails, developers are told what to install."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import give_up
from tests.idp import samlp, simplesamlphp


def test_ci_fails_where_something_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="Node"):
        give_up("needs Node.js")


def test_people_are_told_and_the_test_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="Node"):
        give_up("needs Node.js")


def test_without_npm_the_first_provider_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copy(samlp.FOLDER / "package-lock.json", tmp_path)
    monkeypatch.setattr(samlp, "FOLDER", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    with pytest.raises(samlp.Unavailable, match="apt-get install nodejs npm"):
        samlp.install()


def test_first_provider_that_cannot_be_installed_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lock file without the packages' own list: npm refuses."""
    shutil.copy(samlp.FOLDER / "package-lock.json", tmp_path)
    monkeypatch.setattr(samlp, "FOLDER", tmp_path)

    with pytest.raises(samlp.Unavailable, match="npm ci in"):
        samlp.install()


def test_without_php_the_second_provider_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    with pytest.raises(samlp.Unavailable, match=r"apt-get install .* simplesamlphp"):
        simplesamlphp.require_installed()
