"""Backups are made by programs that are not older than the server."""

import os

import pytest

from tests.operations.backups.test_there_and_back import PROGRAMS


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's, of the wheel that the tests have their server from."""
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
