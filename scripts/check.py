"""`make check`: everything that can be known about the code without running the portal."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from pins import complaints

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "CI")
"""What tools need of the environment. Settings of a portal of one's own stay outside."""

APPS = ("config", "apitokens", "sso", "accounts", "notifications")
MOST_MODULES = 12

Step = Callable[[dict[str, str]], str]
"""Takes an environment; returns what is wrong, or nothing."""


def main() -> int:
    """Take all steps, even after one has failed."""
    steps: dict[str, Step] = {
        "Format of Python": _tool("ruff", "format", "--check", "."),
        "Lint of Python": _tool("ruff", "check", "."),
        "Types": _tool("mypy", "."),
        "Format of templates": _tool("djlint", "templates", "--check", "--quiet"),
        "Lint of templates": _tool("djlint", "templates", "--lint", "--quiet"),
        "Who may know whom": _tool("lint-imports"),
        "Migrations are complete": _manage("makemigrations", "--check", "--dry-run"),
        "Safe to deploy": _deployment,
        "Folders are small": _small_folders,
        "Requirements are pinned": lambda _environment: "\n".join(complaints(ROOT)),
    }
    with tempfile.TemporaryDirectory(prefix="permatoken-check-") as folder:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment["DATA_DIR"] = folder
        failed = [name for name, step in steps.items() if not _take(name, step, environment)]
    if failed:
        _say(f"\nNot in order: {', '.join(failed)}. `make fix` repairs format and some lint.")
    return 1 if failed else 0


def _take(name: str, step: Step, environment: dict[str, str]) -> bool:
    began = time.monotonic()
    wrong = step(environment)
    _say(f"{'✗' if wrong else '✓'} {name} ({time.monotonic() - began:.1f} s)")
    if wrong:
        _say(wrong)
    return not wrong


def _tool(name: str, *arguments: str) -> Step:
    return lambda environment: _call([str(BIN / name), *arguments], environment)


def _manage(*arguments: str) -> Step:
    command = [str(BIN / "python"), "manage.py", *arguments]
    return lambda environment: _call(command, environment)


def _deployment(environment: dict[str, str]) -> str:
    """Django's own look at the settings as an operator would have them."""
    production = {
        "BASE_URL": "https://tokens.example.com",
        "HSTS_INCLUDE_SUBDOMAINS": "true",
        "HSTS_PRELOAD": "true",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "TOKEN_PEPPERS": f"1:{secrets.token_hex(32)}",
    }
    check = _manage("check", "--deploy", "--fail-level", "WARNING")
    return check({**environment, **production})


def _small_folders(_environment: dict[str, str]) -> str:
    """No folder of an app holds more modules than somebody takes in at a glance."""
    counts = Counter(
        path.parent
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if path.name != "__init__.py" and "migrations" not in path.parts
    )
    return "\n".join(
        f"{folder.relative_to(ROOT)} holds {count} modules, and may hold {MOST_MODULES}: "
        "give those that belong together a folder of their own."
        for folder, count in sorted(counts.items())
        if count > MOST_MODULES
    )


def _call(command: Iterable[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        list(command), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip() or "It failed." if done.returncode else ""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
