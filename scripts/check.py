"""`make check`: all static checks. `check.py NAME…` runs those steps only."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pins import mismatches

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "CI")
"""Variables that tools need. Settings of the developer's own portal are dropped."""

APPS = (
    "config",
    "operations",
    "apitokens",
    "sso",
    "accounts",
    "notifications",
    "upgrades",
    "telemetry",
)
MAX_MODULES = 12
MAX_DEPTH = 3
EMPTY_NAMES = {"utils", "helpers", "misc", "common", "base"}
"""Names that say nothing of what a module or folder is for."""

Step = Callable[[dict[str, str]], str]
"""Takes an environment; returns the errors, or an empty string."""


def main(names: Sequence[str]) -> int:
    """Run all steps, or the named ones, even after one has failed."""
    steps = _steps()
    if unknown := set(names) - steps.keys():
        _say(f"No such step: {', '.join(unknown)}. The steps are: {', '.join(steps)}.")
        return 2
    with tempfile.TemporaryDirectory(prefix="permatoken-check-") as folder:
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment["DATA_DIR"] = folder
        failed = [name for name in names or steps if not _run(name, steps[name], environment)]
    if failed:
        _say(f"\nNot in order: {', '.join(failed)}. `make fix` repairs format and some lint.")
    return 1 if failed else 0


def _steps() -> dict[str, Step]:
    return {
        "Format of Python": _tool("ruff", "format", "--check", "."),
        "Lint of Python": _tool("ruff", "check", "."),
        "Types": _tool("mypy", "."),
        "Format of templates": _tool("djlint", "templates", "--check", "--quiet"),
        "Lint of templates": _tool("djlint", "templates", "--lint", "--quiet"),
        "Import contracts": _tool("lint-imports"),
        "Migrations are complete": _manage("makemigrations", "--check", "--dry-run"),
        "Migrations let the portal go on": _script("migrations.py"),
        "Safe to deploy": _deployment,
        "Folders of the apps": _folders,
        "Requirements are pinned": lambda _environment: "\n".join(mismatches(ROOT)),
    }


def _run(name: str, step: Step, environment: dict[str, str]) -> bool:
    began = time.monotonic()
    errors = step(environment)
    _say(f"{'✗' if errors else '✓'} {name} ({time.monotonic() - began:.1f} s)")
    if errors:
        _say(errors)
    return not errors


def _tool(name: str, *arguments: str) -> Step:
    return lambda environment: _call([str(BIN / name), *arguments], environment)


def _manage(*arguments: str) -> Step:
    command = [str(BIN / "python"), "manage.py", *arguments]
    return lambda environment: _call(command, environment)


def _script(name: str) -> Step:
    command = [str(BIN / "python"), str(Path("scripts", name))]
    return lambda environment: _call(command, environment)


def _deployment(environment: dict[str, str]) -> str:
    """Run the deployment checks with settings as in production."""
    production = {
        "BASE_URL": "https://tokens.example.com",
        "EMAIL_URL": "smtp+tls://portal:password@mail.example.com:587",
        "FROM_EMAIL": "Permatoken <noreply@example.com>",
        "HSTS_INCLUDE_SUBDOMAINS": "true",
        "HSTS_PRELOAD": "true",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "TRUSTED_PROXIES": "127.0.0.1",
        "TOKEN_PEPPERS": f"1:{secrets.token_hex(32)}",
    }
    collect = _manage("collectstatic", "--noinput", "--verbosity", "0")
    check = _manage("check", "--deploy", "--fail-level", "WARNING")
    return collect({**environment, **production}) or check({**environment, **production})


def _folders(_environment: dict[str, str]) -> str:
    """Check that no folder of an app is too full or too deep, and that names say something."""
    modules = [
        module
        for app in APPS
        for module in sorted(path.relative_to(ROOT) for path in (ROOT / app).rglob("*.py"))
        if "migrations" not in module.parts
    ]
    return "\n".join([*_full(modules), *_deep(modules), *_empty_names(modules)])


def _full(modules: Sequence[Path]) -> list[str]:
    counts = Counter(module.parent for module in modules if module.name != "__init__.py")
    return [
        f"{folder} holds {count} modules, and may hold {MAX_MODULES}: "
        "give those that belong together a folder of their own."
        for folder, count in counts.items()
        if count > MAX_MODULES
    ]


def _deep(modules: Sequence[Path]) -> list[str]:
    deep = {each.parent for each in modules if len(each.parent.parts) > 1 + MAX_DEPTH}
    return [
        f"{folder} lies more than {MAX_DEPTH} folders below its app: move it up."
        for folder in sorted(deep)
    ]


def _empty_names(modules: Sequence[Path]) -> list[str]:
    named = {
        path for module in modules for path in (module, *module.parents) if path.stem in EMPTY_NAMES
    }
    return [f"{path} has a name that says nothing: name what it is for." for path in sorted(named)]


def _call(command: Iterable[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        list(command), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip() or "It failed." if done.returncode else ""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
