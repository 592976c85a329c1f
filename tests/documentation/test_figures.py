"""Figures of the pages are those of what they tell of."""

import re
from typing import Any

import yaml

from tests.portal import ROOT

OPERATIONS = ROOT / "docs" / "operations"
KUBERNETES = ROOT / "deploy" / "kubernetes"
CLIENTS = {"bookworm": 15, "trixie": 17}
"""The version of `postgresql-client` in each release of Debian."""


def test_sums_of_connections_are_those_of_their_parts() -> None:
    page = (OPERATIONS / "more-than-one.md").read_text()
    part = {
        name: int(most)
        for name, most in re.findall(r"^\| (web|worker|beat|a command).*\| (\d+) \|$", page, re.M)
    }
    said = dict(re.findall(r"^\| (?:Kubernetes, )?`?([\w ]+).*\| (\d+) \| \S.* \|$", page, re.M))
    example = _most_webs("base/web.yaml")
    large = _most_webs("overlays/large/scaling.yaml"), _most_webs("overlays/large/verify.yaml")
    asked = 2 * (part["worker"] + 1)

    def at_most(webs: int, workers: int) -> int:
        return webs * part["web"] + workers + part["beat"] + part["a command"]

    assert int(said["one machine of "]) == at_most(2, part["worker"])
    assert int(said["compose"]) == at_most(2, part["worker"])
    assert int(said["example"]) == at_most(example + 1, asked)
    assert int(said["large"]) == at_most(sum(large) + len(large), asked)


def _most_webs(file: str) -> int:
    """The most that the autoscaler makes."""
    objects: list[Any] = list(yaml.safe_load_all((KUBERNETES / file).read_text()))
    (scaler,) = (each for each in objects if each["kind"] == "HorizontalPodAutoscaler")
    return int(scaler["spec"]["maxReplicas"])


def test_indices_that_are_gone_are_counted() -> None:
    words = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    removals = sum(
        len(re.findall(r"^ +RemoveForeignKeyIndexConcurrently\(", file.read_text(), re.M))
        for file in ROOT.glob("*/migrations/*.py")
    )

    page = " ".join((OPERATIONS / "limits.md").read_text().split())

    assert f"of the large tables {words[removals]} are gone" in page


def test_image_of_compose_has_a_client_for_its_server() -> None:
    """pg_dump refuses a server that is newer than itself."""
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    base = re.findall(r"^ARG BASE=.*-(\w+)$", (ROOT / "deploy/Containerfile").read_text(), re.M)
    server = int(compose["services"]["postgres"]["image"].removeprefix("postgres:"))

    assert compose["services"]["worker"]["build"]["args"]["PACKAGES"] == "postgresql-client"
    assert CLIENTS[base[0]] >= server
