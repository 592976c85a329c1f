"""The units of systemd, by systemd's own tools, which need no systemd that runs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from config.env.variables import SECRETS
from tests.conftest import give_up
from tests.portal import ROOT

UNITS = ROOT / "deploy" / "systemd"
INSTALLED = "/opt/permatoken"
NAMES = (
    "permatoken-web@8000.service",
    "permatoken-worker@1.service",
    "permatoken-beat.service",
    "permatoken-migrate.service",
)
MOST_EXPOSED = 20
"""Tenths: 2.0."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as if this checkout were the installation, with an instance of each template."""
    if shutil.which("systemd-analyze") is None:
        give_up("needs systemd-analyze; get it with: apt-get install systemd")
    place = tmp_path_factory.mktemp("units")
    shutil.copytree(UNITS, place, dirs_exist_ok=True)
    for file in place.glob("permatoken*.*e*"):
        if file.is_file():
            file.write_text(file.read_text().replace(f"{INSTALLED}/", f"{ROOT}/"))
    for name in NAMES:
        if "@" in name:
            shutil.copy(place / re.sub(r"@.*\.", "@.", name), place / name)
    return place


def analyze(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *words], cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_units_are_taken_without_a_word(folder: Path) -> None:
    done = analyze(folder, "verify", *(f"./{name}" for name in (*NAMES, "permatoken.target")))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", NAMES)
def test_units_may_do_next_to_nothing(folder: Path, name: str) -> None:
    done = analyze(folder, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", f"./{name}")

    assert done.returncode == 0, done.stdout[-400:] + done.stderr


def test_unit_without_what_all_have_in_common_would_be_seen(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "permatoken-beat.service", tmp_path)

    done = analyze(
        tmp_path,
        "security",
        "--offline=true",
        f"--threshold={MOST_EXPOSED}",
        "./permatoken-beat.service",
    )

    assert done.returncode != 0


def test_credentials_are_secrets_that_are_made(tmp_path: Path) -> None:
    common = (UNITS / "permatoken-.service.d" / "common.conf").read_text()
    loaded = dict(re.findall(r"^LoadCredential=(\w+):(.*)$", common, re.MULTILINE))
    subprocess.run([ROOT / "deploy" / "make-secrets", tmp_path / "made"], check=True)

    made = {file.name for file in (tmp_path / "made").iterdir()}

    assert {name.upper() for name in loaded} <= set(SECRETS)
    assert loaded.keys() <= made
    assert set(loaded.values()) == {f"/etc/permatoken/credentials/{name}" for name in loaded}
