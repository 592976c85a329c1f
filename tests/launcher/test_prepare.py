"""What makes the virtual environment ready, before there is any package."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.launcher.portal import ROOT

FILES = [
    "Makefile",
    "scripts",
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-older-client.txt",
]
OLD_PYTHON = (
    "import runpy, sys; sys.version_info = (3, 10, 13); sys.argv = ['prepare.py', 'run']; "
    "runpy.run_path('scripts/prepare.py', run_name='__main__')"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the preparation needs, and no virtual environment."""
    _check_out(tmp_path)
    return tmp_path


def _check_out(folder: Path) -> None:
    for name in FILES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)


class Prepared(NamedTuple):
    """A checkout that is ready, with nothing to install, and what was said when it was made so."""

    folder: Path
    said: str


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("checkout")
    _check_out(folder)
    (folder / "requirements.txt").write_text("# nothing\n")
    done = _run([sys.executable, "scripts/prepare.py", "run"], folder)
    assert done.returncode == 0, done.stderr
    return Prepared(folder, done.stdout)


@pytest.fixture
def prepared(prepared_once: Prepared, tmp_path: Path) -> Prepared:
    """A copy: making a virtual environment takes several seconds."""
    folder = shutil.copytree(prepared_once.folder, tmp_path / "checkout", symlinks=True)
    return prepared_once._replace(folder=folder)


def test_old_python_can_read_what_refuses_it() -> None:
    source = (ROOT / "scripts" / "prepare.py").read_text()

    ast.parse(source, feature_version=(3, 4))


def test_old_python_is_told_so_in_one_sentence(checkout: Path) -> None:
    done = _run([sys.executable, "-c", OLD_PYTHON], checkout)

    assert done.returncode == 1
    assert done.stderr.startswith("Permatoken needs Python 3.11 or later, and this is 3.10 (")
    assert len(done.stderr.splitlines()) == 1
    assert not (checkout / ".venv").exists()


def test_python_that_is_not_there_is_told_in_one_sentence(checkout: Path) -> None:
    done = _run(["make", "prepare-run", "PYTHON=python3.99"], checkout)

    assert done.returncode != 0
    assert done.stderr.startswith("Permatoken needs Python 3.11 or later: python3.99 is not ")


def test_registry_that_does_not_answer_is_told_in_one_sentence(checkout: Path) -> None:
    unreachable = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
    }

    done = _run([sys.executable, "scripts/prepare.py", "run"], checkout, **unreachable)

    assert done.returncode == 1
    assert "Installing packages" in done.stdout
    assert done.stderr.startswith("pip cannot fetch the packages from the package registry.")
    assert len(done.stderr.splitlines()) == 1


def test_nothing_is_installed_twice(prepared: Prepared) -> None:
    """With nothing to install there is nothing to say, and no registry to ask."""
    second = _run([sys.executable, "scripts/prepare.py", "run"], prepared.folder)

    assert "Installing packages of requirements.txt" in prepared.said
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_changed_requirements_are_installed(prepared: Prepared) -> None:
    (prepared.folder / "requirements.txt").write_text("# still nothing, but another file\n")
    again = _run([sys.executable, "scripts/prepare.py", "run"], prepared.folder)

    assert "Installing packages of requirements.txt" in again.stdout
    assert "virtual environment" not in again.stdout


def test_environment_whose_python_is_gone_is_made_anew(prepared: Prepared) -> None:
    (prepared.folder / ".venv" / "bin" / "python").unlink()
    again = _run([sys.executable, "scripts/prepare.py", "run"], prepared.folder)

    assert again.returncode == 0
    assert "Making the virtual environment" in again.stdout


def _run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=folder, env={**outside, **environment}, capture_output=True, text=True
    )
