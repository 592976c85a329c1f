"""The README's two ways to a real installation, as they are printed."""

import json
import os
import re
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.documentation.blocks import block_at
from tests.documentation.terminal import Terminal
from tests.portal import free_port

pytestmark = pytest.mark.long
PASSWORD = "a password of the reader's own"
SERVERS = tuple(f"deploy/permatoken {role}" for role in ("web", "worker", "beat"))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}


def health(port: int) -> dict[str, Any]:
    """What /healthz says; nothing while it does not answer 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return dict(json.load(answer))
    except OSError:
        return {}


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_embedded_installation_serves_who_was_made(
    terminals: list[Terminal], environment: dict[str, str], port: int, tmp_path: Path
) -> None:
    script = block_at("README.md: make prepare-run #").filled(
        {"/srv/permatoken": "{folder}"}, {"folder": str(tmp_path / "srv")}
    )
    terminal = Terminal(script, {**environment, "PORT": str(port)})
    terminals.append(terminal)

    terminal.answer("password: ", PASSWORD, times=4)  # the Administrator's, and the operator's
    terminal.wait_until(lambda: "Stop it with Ctrl-C" in terminal.said)

    assert health(port)["status"] == "ok"
    assert "ops@example.com is an operator" in terminal.said
    terminal.type("\x03")
    terminal.wait()
    assert "Stopping" in terminal.said


def test_scaled_installation_serves_with_worker_and_beat(
    terminals: list[Terminal], environment: dict[str, str], port: int, tmp_path: Path
) -> None:
    block = block_at("README.md: export BASE_URL=https://tokens.example.com export")
    with services.postgresql(is_durable=False) as database, services.redis() as redis:
        facts = {
            "database": database,
            "redis": redis,
            "key": secrets.token_urlsafe(48),
            "pepper": secrets.token_hex(32),
        }
        script = block.filled(
            {
                "postgres://permatoken:…@db.internal:5432/permatoken": "'{database}'",
                "redis://:…@redis.internal:6379/0": "{redis}",
                "SECRET_KEY=…": "SECRET_KEY={key}",
                "TOKEN_PEPPERS=1:…": "TOKEN_PEPPERS=1:{pepper}",
            },
            facts,
        )
        terminal = Terminal(
            _in_the_background(script),
            {**environment, "DATA_DIR": str(tmp_path / "data"), "PORT": str(port)},
        )
        terminals.append(terminal)

        terminal.wait_until(
            lambda: (
                health(port).get("last_scan_at") is not None
                and any((tmp_path / "data").glob("celerybeat-schedule*"))
            )
        )

        assert terminal.process.poll() is None, terminal.said
        assert any((tmp_path / "data" / "alive").glob("worker-*"))
        terminal.close()
        terminals.clear()


def _in_the_background(script: str) -> str:
    """Start each server beside the others. If one ends, all do."""
    commands = re.sub(r"\\\n", "", script).splitlines()
    started = [f"{{ {each}\n}} &" if each.startswith(SERVERS) else each for each in commands]
    assert sum(each.endswith("&") for each in started) == 3
    return "\n".join([*started, "wait -n"])
