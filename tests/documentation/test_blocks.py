"""What the documents print can be typed as it is printed."""

import ast
import contextlib
import json
import os
import re
import secrets
import sqlite3
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.documentation.blocks import (
    PLACES,
    ROOT,
    Block,
    By,
    Here,
    NotHere,
    blocks,
    blocks_of,
    blocks_on,
    place_of,
)
from tests.documentation.terminal import Terminal
from tests.portal import Portal, served_portal

BLOCKS = list(blocks())


def test_every_block_runs_in_a_test_or_says_why_not() -> None:
    unknown = [block.key[:80] for block in BLOCKS if place_of(block) is None]
    gone = PLACES.keys() - {place_of(block) for block in BLOCKS}

    assert (unknown, gone) == ([], set())


def test_files_that_run_a_block_take_it_from_its_page_and_reasons_are_given() -> None:
    for key, place in PLACES.items():
        match place:
            case By(file):
                assert key in set(taken_by(file)), f"{file} does not take {key} from its page."
            case NotHere(reason):
                assert len(reason.split()) > 3


def taken_by(file: str) -> Iterator[str]:
    """The entries of blocks that this file asks for by their names."""
    source = (ROOT / file).read_text()
    for call in (each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Call)):
        name, words = getattr(call.func, "id", ""), [getattr(it, "value", "") for it in call.args]
        if name == "blocks_on":
            yield from (str(place_of(each)) for each in blocks_on(*words))
        elif name == "block_at":
            yield from words


def test_block_that_nobody_takes_would_be_seen() -> None:
    assert "README.md: .venv/bin/python manage.py restore" not in set(
        taken_by("tests/deploy/test_haproxy.py")
    )


def test_blocks_are_found_however_they_are_fenced() -> None:
    fences = ("```\n{}\n```", '```sh title="x"\n{}\n```', "~~~ sh\n{}\n~~~", "````sh\n{}\n````")
    page = "\n\n".join(each.format(f"run {number}") for number, each in enumerate(fences))
    session = "  ```shell-session\n  $ run 4\n  done\n  ```\n\n```mermaid\nno command\n```\n"

    found = list(blocks_of("page.md", f"{page}\n\n{session}"))

    assert [each.commands.strip() for each in found] == [f"run {number}" for number in range(5)]


def test_commands_of_an_installation_come_after_the_environment() -> None:
    """Its folder is not there before `make prepare-run`."""
    installing = [
        each
        for each in BLOCKS
        if each.page == "README.md" and ("create_account" in each.text or " migrate" in each.text)
    ]

    assert len(installing) == 3
    for block in installing:
        called = re.search(r"^(\.venv/bin/|deploy/permatoken)", block.text, re.MULTILINE)
        assert called is not None
        assert 0 <= block.text.find("make prepare-run") < called.start(), block.key


def test_git_takes_no_data_of_a_portal_that_is_in_the_folder() -> None:
    """The folders and files that the documents name hold secrets and tokens."""
    ignored = (ROOT / ".gitignore").read_text().split()
    for name in ("var/", "var-2/", "permatoken-backup.sqlite3", "permatoken.sqlite3-wal"):
        assert any(fnmatch(name, pattern) for pattern in ignored), name


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    with served_portal(tmp_path / "data") as running:
        yield running


@pytest.fixture
def facts(portal: Portal, tmp_path: Path) -> dict[str, str]:
    """What a reader has at hand: a token, a pair of short-lived ones, a verifier key."""
    credentials = {"username": "admin@example.com", "password": "permatoken-demo"}
    pair = _post(portal, "auth/jwt/login", credentials)
    wanted: dict[str, Any] = {"name": "Reader", "exp_date": None, "client_user": {}}
    token, endless = (
        _post(portal, "clients/1/tokens", wanted, Authorization=f"Bearer {pair['access']}")["token"]
        for _each in range(2)
    )
    return {
        **pair,
        "token": token,
        "endless": endless,  # the other one ends soon after a block has rotated it
        "other_spelling": token.replace("$", "_"),
        "token_id": token.partition("$")[0],
        "verifier": portal.shell.command("issue_verifier", "Video storage").strip(),
        "tomorrow": f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "port": str(urlsplit(portal.url).port),
        "pepper": secrets.token_hex(32),
        "folder": str(tmp_path),
    }


def _post(portal: Portal, path: str, body: Any, **headers: str) -> Any:
    request = urllib.request.Request(
        f"{portal.url}/iam/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def environment(portal: Portal, tmp_path: Path) -> dict[str, str]:
    """The reader's shell: their portal's settings, and a curl that fails as the server does."""
    (tmp_path / ".curlrc").write_text("silent\nno-styled-output\nshow-error\nfail-with-body\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "clients" / "python"),  # as if it were installed
        "DATA_DIR": str(portal.data_dir),
        "PORT": str(urlsplit(portal.url).port),
    }


def test_blocks_do_what_their_page_says(
    portal: Portal, facts: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    """All in one test, from top to bottom, so that one portal does for all of them."""
    for block in BLOCKS:
        place = PLACES[place_of(block) or ""]
        if isinstance(place, Here):
            code, said = _run(block, place, facts, environment)
            assert (code, place.says.format_map(facts) in said) == (place.code, True), (
                f"{block.key}\n\n{said[-2000:]}"
            )

    (backup,) = tmp_path.glob("permatoken-backups/*/database.sqlite3")
    with contextlib.closing(sqlite3.connect(backup)) as copy:
        (people,) = copy.execute("SELECT count(*) FROM accounts_user").fetchone()
    assert people > 3
    assert "Traceback" not in (portal.data_dir / "web.log").read_text()


def _run(
    block: Block, place: Here, facts: dict[str, str], environment: dict[str, str]
) -> tuple[int, str]:
    script = block.filled(place.values, facts) + place.after.replace("{token}", facts["token"])
    if block.language == "python":
        script = f".venv/bin/python - <<'END'\n{script}END\n"
    terminal = Terminal(script, environment)
    try:
        if place.typed:
            terminal.answer("password: ", place.typed, times=2)
        return terminal.wait(), terminal.said
    finally:
        terminal.close()
