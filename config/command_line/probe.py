"""Tells whether a web, a worker or a beat is well: of a container the one that it was started for.

Costs little, and loads no settings: it is called every few seconds.
"""

import http.client
import os
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from config.launcher import preflight
from operations.probes import alive

SECONDS = 3
"""The portal answers its probes within two."""
_FIRST_PROCESS = Path("/proc/1/cmdline")
_BY_WORD = {"granian": "web", **{role: role for role in ("web", *alive.KINDS)}}
_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound


def main(words: Sequence[str]) -> int:
    """0 if it is well, 1 if not; 2 for a role that is none."""
    role = words[0] if words else role_of(_first_process())
    if len(words) > 1 or (words and role not in _BY_WORD.values()):
        sys.stderr.write("Say which: permatoken probe web, worker or beat\n")
        return 2
    if role is None:
        sys.stdout.write("This container runs a command: there is nothing to look at.\n")
        return 0
    return _web() if role == "web" else alive.main([role])


def role_of(command: Sequence[str]) -> str | None:
    """What a process was started for, by its command; None for a command of operators."""
    if "manage" in command or "migrate" in command:
        return None
    return next((_BY_WORD[word] for word in command if word in _BY_WORD), None)


def _first_process() -> list[str]:
    try:
        return _FIRST_PROCESS.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _web() -> int:
    host = os.environ.get("HOST") or ""
    connection = http.client.HTTPConnection(
        _HERE.get(host, host),
        preflight.number("PORT", 8000, highest=65535),
        timeout=SECONDS,
    )
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        sys.stdout.write(f"{answer.read().decode(errors='replace')}\n")
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"The web server does not answer: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == HTTPStatus.OK else 1
