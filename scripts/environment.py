"""The virtual environment in `.venv`, with exactly the packages that the requirement files pin."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / "bin" / "python"
NOTES = FOLDER / "installed"
"""Remembers what each requirement file was when it was installed."""

RUN = ROOT / "requirements.txt"
DEV = ROOT / "requirements-dev.txt"
OLDER_CLIENT = ROOT / "requirements-older-client.txt"
OLDER_CLIENT_FOLDER = FOLDER / "clients" / "gcore-0.44.0"

UNREACHABLE = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "Failed to establish a new connection",
    "Network is unreachable",
    "Connection refused",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "SSLError",
    "No matching distribution found",
)


_HAS_PIP = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"


class Failed(Exception):
    """One sentence for the person who waits."""


def main(arguments: Sequence[str]) -> int:
    """Prepare for `run` or for `dev`; quick, and silent, when there is nothing to do."""
    if list(arguments) not in (["run"], ["dev"]):
        sys.stderr.write("Usage: prepare.py run|dev\n")
        return 2
    try:
        with _alone():
            _make_environment()
            if arguments[0] == "run":
                _install(RUN)
            else:
                _install(DEV, includes=RUN)
                _install(OLDER_CLIENT, into=OLDER_CLIENT_FOLDER)
    except Failed as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """Two starts from one fresh checkout must not install over each other."""
    with RUN.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_environment() -> None:
    if _works():
        return
    _say(f"Making the virtual environment in {FOLDER.name} with Python {sys.version.split()[0]}…")
    made = _call(sys.executable, "-m", "venv", "--clear", str(FOLDER))
    if made.returncode:
        raise Failed(
            "The virtual environment could not be made. On Debian and Ubuntu, "
            f"apt-get install python3-venv helps. Python said:\n{_last_lines(made)}"
        )


def _works() -> bool:
    """False for an environment that is missing, half made, or whose Python has been removed."""
    try:
        return _call(str(PYTHON), "-c", _HAS_PIP).returncode == 0
    except OSError:
        return False


def _install(wanted: Path, *, includes: Path | None = None, into: Path | None = None) -> None:
    if _is_installed(wanted):
        return
    long = "" if into else " (about half a minute the first time)"
    _say(f"Installing packages of {wanted.name}{long}…")
    place = ["--no-deps", "--upgrade", "--target", str(into)] if into else []
    done = _call(
        *(str(PYTHON), "-m", "pip", "install", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "--require-hashes", *place, "-r", str(wanted)),
    )
    if done.returncode:
        raise Failed(_explain(done))
    for file in filter(None, (wanted, includes)):
        _note(file).parent.mkdir(exist_ok=True)
        _note(file).write_text(_fingerprint(file))


def _is_installed(file: Path) -> bool:
    note = _note(file)
    return note.exists() and note.read_text() == _fingerprint(file)


def _note(file: Path) -> Path:
    return NOTES / file.name


def _fingerprint(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def _explain(done: subprocess.CompletedProcess[str]) -> str:
    if any(sign in done.stderr for sign in UNREACHABLE):
        return (
            "pip cannot fetch the packages from the package registry. "
            "Check the network and pip's settings (PIP_INDEX_URL, proxies), then try again."
        )
    return f"pip could not install the packages. It said:\n{_last_lines(done)}"


def _last_lines(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
