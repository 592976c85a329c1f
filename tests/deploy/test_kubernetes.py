"""deploy/kubernetes, by the schemas of Kubernetes, and by what "restricted" asks of pods."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from config.env.urls import MAIL_PORTS
from config.env.variables import FILES, VARIABLES
from config.logs.extras import COLLECTOR
from tests.conftest import give_up
from tests.examples.proxies import path_of
from tests.portal import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("example", "large")
VERSIONS = ("1.29", "1.34")
Object = dict[str, Any]


def written() -> Iterator[Object]:
    """What is written in the files; patches are no whole objects."""
    for file in sorted(FOLDER.rglob("*.yaml")):
        if file.name not in ("kustomization.yaml", "scaling.yaml", "pooling.yaml"):
            yield from yaml.safe_load_all(file.read_text())


@cache
def rendered(overlay: str) -> list[Object]:
    """What an overlay makes of the base, by kubectl, which has kustomize in it."""
    kubectl = path_of("kubectl") or give_up("needs kubectl; get it with: make prepare-dev")
    done = subprocess.run(
        [kubectl, "kustomize", str(FOLDER / "overlays" / overlay)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def own(pod: Object) -> Object:
    """The container that a pod is for."""
    (container,) = (each for each in pod["containers"] if each["name"] == "permatoken")
    return dict(container)


def pods(objects: list[Object]) -> dict[str, Object]:
    """The pods of Deployments, Jobs and CronJobs, by name."""
    return {
        each["metadata"]["name"]: job["spec"]["template"]["spec"]
        for each in objects
        for job in (each, each.get("spec", {}).get("jobTemplate", {}))
        if each["kind"] in ("Deployment", "Job", "CronJob") and "template" in job.get("spec", {})
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_valid(version: str) -> None:
    objects = list(written())

    for each in objects:
        kubernetes_validate.validate(each, version, strict=True)

    kinds = {each["kind"] for each in objects}
    assert {"Deployment", "Job", "PodDisruptionBudget", "HorizontalPodAutoscaler"} <= kinds
    assert {"NetworkPolicy", "ConfigMap", "Service", "Ingress"} <= kinds


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays_are_valid(overlay: str) -> None:
    for each in rendered(overlay):
        kubernetes_validate.validate(each, VERSIONS[-1], strict=True)


def test_what_is_misspelled_is_seen() -> None:
    (web,) = (each for each in written() if each["metadata"]["name"] == "permatoken-beat")
    web["spec"]["replica"] = 1

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(web, VERSIONS[-1], strict=True)


def test_pods_are_restricted() -> None:
    found = pods(list(written()))

    assert len(found) == 6
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"].keys() == {"memory"}
            writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
            own_volume = ["/backups"] if name == "permatoken-backup" else []
            assert writable == [*own_volume, "/data", "/tmp"]


def test_pods_run_roles_and_are_probed_as_such() -> None:
    found = pods(list(written()))
    backup = found.pop("permatoken-backup")
    assert own(backup)["args"][:4] == ["manage", "backup", "--to", "/backups/nightly"]

    for name, pod in found.items():
        container = own(pod)
        (role,) = container["args"]
        assert role == {"verify": "web"}.get(suffix := name.removeprefix("permatoken-"), suffix)
        if role == "web":
            assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        elif role != "migrate":
            command = container["livenessProbe"]["exec"]["command"]
            assert command == ["permatoken", "probe", role]


def test_settings_are_known() -> None:
    named = {name for each in written() if each["kind"] == "ConfigMap" for name in each["data"]}
    named |= {
        variable["name"]
        for pod in pods(list(written())).values()
        for container in pod["containers"]
        for variable in container.get("env", [])
    }

    assert set(FILES) <= named <= {*VARIABLES, *FILES}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_their_pods(overlay: str) -> None:
    objects = rendered(overlay)
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for each in objects
        if each["kind"] in ("Deployment", "Job")
    ]
    for each in objects:
        if each["kind"] in ("Service", "PodDisruptionBudget"):
            wanted = each["spec"]["selector"].get("matchLabels", each["spec"]["selector"])
            assert any(wanted.items() <= found.items() for found in labels), each["metadata"]
        if each["kind"] == "NetworkPolicy":
            (rule,) = each["spec"]["podSelector"]["matchExpressions"]
            apps = {found["app"] for found in labels}
            assert apps & set(rule["values"])


def test_what_workers_count_is_told_to_prometheus_alone() -> None:
    """Their /data is their own: no web could tell of it."""
    objects = list(written())
    worker = pods(objects)["permatoken-worker"]
    (teller,) = (each for each in worker["containers"] if each["name"] == "metrics")
    (policy,) = (
        each["spec"]
        for each in objects
        if (each["kind"], each["metadata"]["name"]) == ("NetworkPolicy", "permatoken-worker")
    )

    assert teller["args"][:2] == ["manage", "serve_metrics"]
    assert teller["args"][-1] == str(teller["ports"][0]["containerPort"])
    assert teller["volumeMounts"] == own(worker)["volumeMounts"]
    (rule,) = policy["ingress"]
    assert [port["port"] for port in rule["ports"]] == [teller["ports"][0]["name"]]
    assert [each["namespaceSelector"]["matchLabels"] for each in rule["from"]] == [
        {"kubernetes.io/metadata.name": "monitoring"}
    ]


def test_pods_reach_what_the_pages_lead_them_to() -> None:
    page = (ROOT / "docs" / "operations" / "more-than-one.md").read_text()
    bouncer = int(re.findall(r"^listen_port = (\d+)$", page, re.MULTILINE)[0])
    collector = urlsplit(COLLECTOR).port
    (egress,) = (each["spec"]["egress"] for each in written() if "egress" in each.get("spec", {}))

    open_ = {port["port"] for rule in egress for port in rule["ports"]}

    assert {53, 5432, bouncer, 6379, collector, 443, *MAIL_PORTS.values()} <= open_


def test_migrations_go_past_the_pooler() -> None:
    large = pods(rendered("large"))

    (variable,) = own(large["permatoken-migrate"])["env"]

    assert variable["name"] == "DATABASE_URL_FILE"
    assert variable["value"].endswith("/direct_database_url")
    others = {name: own(pod).get("env", []) for name, pod in large.items()}
    del others["permatoken-migrate"]
    assert not [v for env in others.values() for v in env if v["name"] == "DATABASE_URL_FILE"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_image_is_named_with_its_tag(overlay: str) -> None:
    found = pods(rendered(overlay)).values()
    images = {container["image"] for pod in found for container in pod["containers"]}

    assert len(images) == 1
    assert re.fullmatch(r".+/permatoken:\d+\.\d+\.\d+", images.pop())
