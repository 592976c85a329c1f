"""The units of systemd, by systemd's own tools, which need no systemd that runs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from config.env.start import WRONG_SETTING
from config.env.variables import SECRETS
from tests.conftest import give_up
from tests.documentation.blocks import block_at
from tests.portal import ROOT

UNITS = ROOT / "deploy" / "systemd"
INSTALLED = "/opt/permatoken"
NAMES = (
    "permatoken-web@8000.service",
    "permatoken-worker@1.service",
    "permatoken-beat.service",
    "permatoken-migrate.service",
    "permatoken-backup.service",
    "permatoken-metrics.service",
)
WITHOUT_PROCESSES = ("permatoken.target", "permatoken-backup.timer")
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
    done = analyze(folder, "verify", *(f"./{name}" for name in (*NAMES, *WITHOUT_PROCESSES)))

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

    assert {name.upper() for name in loaded} == set(SECRETS)
    assert loaded.keys() <= made
    assert set(loaded.values()) == {f"/etc/permatoken/credentials/{name}" for name in loaded}


def test_backup_may_write_to_the_folder_that_the_page_makes() -> None:
    unit = (UNITS / "permatoken-backup.service").read_text()
    (folder,) = re.findall(r"^ReadWritePaths=(.*)$", unit, re.MULTILINE)
    block = block_at("docs/operations/install.md: install -d -o")

    assert f" manage backup --to {folder} " in unit
    assert f"install -d -o permatoken -g permatoken -m 700 {folder}\n" in block.text


START_LIMIT = (5, 10)
"""systemd gives up on a unit that was started so often in so many seconds, if nobody says more."""


@pytest.mark.parametrize("file", sorted(UNITS.glob("*.service")), ids=lambda file: file.name)
def test_what_runs_on_comes_again_whatever_ended_it_and_for_good(file: Path) -> None:
    """Redis, the database or the machine's memory may be gone for longer than a few starts take."""
    says = dict(re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE))
    starts, seconds = START_LIMIT

    if says["Type"] == "oneshot":
        assert "Restart" not in says
    else:
        assert says["Restart"] == "always"
        assert starts * int(says["RestartSec"]) >= seconds
        assert says["RestartPreventExitStatus"] == str(WRONG_SETTING)


def test_each_worker_of_a_machine_has_a_name_of_its_own() -> None:
    """Two of one name would take each other's answers and commands."""
    command = (UNITS / "permatoken-worker@.service").read_text()

    assert "ExecStart=/opt/permatoken/deploy/permatoken worker --hostname worker-%i@%%h" in command
