"""deploy/compose.yaml, which no engine runs here: docker-compose reads it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.env.variables import FILES, VARIABLES
from tests.conftest import give_up
from tests.documentation.blocks import block_at
from tests.portal import ROOT

FOLDER = ROOT / "deploy"
FILE = FOLDER / "compose.yaml"
OURS = ("migrate", "web-1", "web-2", "worker", "beat")
NOT_IN_GIT = {"./tls", "./acme", "./secrets"}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text()))


@pytest.fixture(scope="module")
def compose() -> str:
    """Where docker-compose is."""
    return shutil.which("docker-compose") or give_up(
        "needs docker-compose; get it with: apt-get install docker-compose"
    )


def test_compose_takes_it(compose: str) -> None:
    done = subprocess.run(
        [compose, "--file", str(FILE), "config", "--quiet"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("wanted", ["", "1"])
def test_image_is_built_with_the_extras_that_are_asked_for(compose: str, wanted: str) -> None:
    environment = {**os.environ, "PERMATOKEN_EXTRAS": wanted}

    told = subprocess.run(
        [compose, "--file", str(FILE), "config"],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    builds = [yaml.safe_load(told)["services"][name]["build"] for name in OURS]
    assert [build["args"]["EXTRAS"] for build in builds] == [wanted] * len(OURS)


DOCKER = """#!/bin/sh
# What stands for Docker's Compose: `up` reads the files, `exec` looks for the service.
set -eu
case $2 in
    up) docker-compose config --quiet ;;
    exec) docker-compose config --services | grep -qx "$3" && shift 3 && echo "Ran: $*" ;;
esac
"""


@pytest.mark.usefixtures("compose")
def test_page_leads_to_files_that_compose_takes(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "deploy")
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    block = block_at("docs/operations/containers.md: cd deploy")

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Ran: permatoken manage doctor" in done.stdout
    assert (tmp_path / "deploy" / "secrets" / "secret_key").stat().st_size > 40


@pytest.mark.parametrize("name", OURS)
def test_portal_may_write_nowhere_but_into_its_folders(told: dict[str, Any], name: str) -> None:
    service = told["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (service["volumes"], service["tmpfs"]) == (["data:/data"], ["/tmp"])
    assert service["command"] == [name.partition("-")[0]]


@pytest.mark.parametrize("name", OURS)
def test_portal_has_its_secrets_in_files(told: dict[str, Any], name: str) -> None:
    service = told["services"][name]
    settings = service["environment"]

    assert settings.keys() <= {*VARIABLES, *FILES}
    files = {name: place for name, place in settings.items() if name in FILES}
    assert files.keys() == set(FILES)
    assert set(files.values()) == {f"/run/secrets/{secret}" for secret in service["secrets"]}
    assert all(place.endswith(f"/{n.removesuffix('_FILE').lower()}") for n, place in files.items())


def test_secrets_are_those_that_are_made(told: dict[str, Any], tmp_path: Path) -> None:
    subprocess.run([FOLDER / "make-secrets", "--compose", tmp_path / "made"], check=True)
    made = {f"./secrets/{file.name}" for file in (tmp_path / "made").iterdir()}

    assert {secret["file"] for secret in told["secrets"].values()} == made


def test_webs_and_proxy_have_the_addresses_of_the_configuration(told: dict[str, Any]) -> None:
    services = told["services"]
    addresses = {
        name: services[name]["networks"]["front"]["ipv4_address"]
        for name in ("web-1", "web-2", "nginx")
    }
    upstream = (FOLDER / "nginx" / "webs-of-compose.conf").read_text()

    assert f"server {addresses['web-1']}:8000 " in upstream
    assert f"server {addresses['web-2']}:8000 " in upstream
    assert services["web-1"]["environment"]["TRUSTED_PROXIES"] == addresses["nginx"]


def test_files_that_are_mounted_are_there(told: dict[str, Any]) -> None:
    mounted = {
        volume.partition(":")[0]
        for service in told["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    }

    assert [each for each in mounted - NOT_IN_GIT if not (FOLDER / each).exists()] == []


def test_what_runs_on_comes_again_whatever_ended_it(told: dict[str, Any]) -> None:
    restarts = {name: service.get("restart") for name, service in told["services"].items()}

    assert restarts.pop("migrate") == "no"
    assert len(restarts) >= 6
    assert set(restarts.values()) <= {"always", "unless-stopped"}, restarts
