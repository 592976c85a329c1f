"""Creates the virtual environment in `.venv` with the packages that the requirement files pin."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
BENCH_FOLDER = ROOT / "var" / "benchmarks" / "venv"
"""An environment apart, for the libraries that are measured beside the portal."""

RUN = ROOT / "requirements.txt"
DEV = ROOT / "requirements-dev.txt"
OLDER_CLIENT = ROOT / "requirements-older-client.txt"
OLDER_CLIENT_FOLDER = FOLDER / "clients" / "gcore-0.44.0"
BENCH = ROOT / "benchmarks" / "requirements.txt"

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
    """The environment cannot be prepared; the message is one sentence for the developer."""


def main(arguments: Sequence[str]) -> int:
    """Prepare for `run`, `dev` or `bench`. Idempotent; quick and silent if nothing is to do."""
    if list(arguments) not in (["run"], ["dev"], ["bench"]):
        sys.stderr.write("Usage: prepare.py run|dev|bench\n")
        return 2
    try:
        with _lock():
            if arguments[0] == "bench":
                _make_environment(BENCH_FOLDER)
                _install(BENCH, folder=BENCH_FOLDER)
                return 0
            _make_environment(FOLDER)
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
def _lock() -> Iterator[None]:
    """Hold a lock, so that two starts from one fresh checkout do not install at once."""
    with RUN.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_environment(folder: Path) -> None:
    if _works(folder):
        return
    shown = folder.relative_to(ROOT)
    _say(f"Making the virtual environment in {shown} with Python {sys.version.split()[0]}…")
    made = _call(sys.executable, "-m", "venv", "--clear", str(folder))
    if made.returncode:
        raise Failed(
            "The virtual environment could not be made. On Debian and Ubuntu, "
            f"apt-get install python3-venv helps. Python said:\n{_last_lines(made)}"
        )


def _works(folder: Path) -> bool:
    """False if the environment is missing, incomplete, or its Python has been removed."""
    try:
        return _call(_python(folder), "-c", _HAS_PIP).returncode == 0
    except OSError:
        return False


def _install(
    wanted: Path,
    *,
    folder: Path = FOLDER,
    includes: Path | None = None,
    into: Path | None = None,
) -> None:
    if _is_installed(wanted, folder):
        return
    long = "" if into else " (about half a minute the first time)"
    _say(f"Installing packages of {wanted.relative_to(ROOT)}{long}…")
    target = ["--no-deps", "--upgrade", "--target", str(into)] if into else []
    done = _call(
        *(_python(folder), "-m", "pip", "install", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "--require-hashes", *target, "-r", str(wanted)),
    )
    if done.returncode:
        raise Failed(_explain(done))
    for file in filter(None, (wanted, includes)):
        _marker(file, folder).parent.mkdir(exist_ok=True)
        _marker(file, folder).write_text(_fingerprint(file))


def _is_installed(file: Path, folder: Path) -> bool:
    marker = _marker(file, folder)
    return marker.exists() and marker.read_text() == _fingerprint(file)


def _marker(file: Path, folder: Path) -> Path:
    """The file that holds the digest of a requirement file as it was installed."""
    return folder / "installed" / file.name


def _python(folder: Path) -> str:
    return str(folder / "bin" / "python")


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
