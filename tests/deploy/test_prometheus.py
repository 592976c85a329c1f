"""A real Prometheus reads a portal that runs, and tells when something is wrong with it."""

import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric

from operations.metrics import stored
from operations.metrics.exposition import everything
from telemetry import metrics
from tests.conftest import give_up
from tests.documentation.blocks import block_at
from tests.mailserver import MailServer, mail_server
from tests.portal import GRANIAN, ROOT, Portal, free_port, served_portal

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
NAME = re.compile(r"permatoken_[a-z_]+")
WEBS = ["127.0.0.1:8000", "127.0.0.1:8001"]
TOKEN = "a token of sixteen characters or more"


def need(program: str) -> str:
    path = shutil.which(program)
    packages = "prometheus prometheus-alertmanager"
    return path or give_up(f"needs {program}; get it with: apt-get install {packages}")


def families() -> list[Metric]:
    return [*metrics.REGISTRY.collect(), *stored._ask(), *everything.collect()]


@pytest.mark.django_db
@pytest.mark.parametrize("file", [RULES, DEPLOY / "grafana" / "permatoken.json"])
def test_every_metric_that_is_asked_for_is_there(file: Path) -> None:
    known = {"permatoken_database_up"}
    for family in families():
        known |= {family.name, f"{family.name}_total", f"{family.name}_bucket"}

    assert set(NAME.findall(file.read_text())) - known == set()


def test_dashboard_shows_each_panel_in_a_place_of_its_own() -> None:
    panels = json.loads((DEPLOY / "grafana" / "permatoken.json").read_text())["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _y in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels) > 20


def test_rules_keep_their_promises() -> None:
    done = subprocess.run(
        [need("promtool"), "test", "rules", "alerts.test.yml"],
        cwd=RULES.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    tests = (RULES.parent / "alerts.test.yml").read_text()
    assert [a for a in alerts if f"{a} fires" not in tests or f"{a} is silent" not in tests] == []


def test_page_leads_to_configurations_that_are_such(tmp_path: Path) -> None:
    """Its commands but for those that want a machine, in a folder."""
    need("promtool")
    need("amtool")
    block = block_at("docs/operations/metrics-and-logs.md: apt-get install")
    here, secrets = tmp_path / "prometheus", tmp_path / "credentials"
    here.mkdir()
    secrets.mkdir()
    (secrets / "metrics_token").write_text(TOKEN)
    places = {"/etc/prometheus": str(here), "/etc/permatoken/credentials": str(secrets)}
    lines = [
        line.replace("-g prometheus ", "")
        for line in block.filled(places, {}).splitlines()
        if not line.startswith(("apt-get", "systemctl", "echo 'ARGS="))
    ]
    assert len(lines) == 5
    done = subprocess.run(
        ["bash", "-euxc", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (here / "metrics_token").read_text() == TOKEN


def test_part_for_kubernetes_is_one(tmp_path: Path) -> None:
    """But for finding the pods: Debian's Prometheus is built without that."""
    part = yaml.safe_load((RULES.parent / "kubernetes.yml").read_text())
    (job,) = part["scrape_configs"]
    (found_by,) = job.pop("kubernetes_sd_configs")
    assert found_by == {"role": "pod", "namespaces": {"names": ["permatoken"]}}
    (tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(part))
    (tmp_path / "metrics_token").write_text(TOKEN)
    done = subprocess.run(
        [need("promtool"), "check", "config", "kubernetes.yml"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_part_for_kubernetes_finds_what_the_manifests_have() -> None:
    (job,) = yaml.safe_load((RULES.parent / "kubernetes.yml").read_text())["scrape_configs"]
    kept = re.compile(job["relabel_configs"][0]["regex"])
    files = (DEPLOY / "kubernetes").glob("*/**/*.yaml")
    templates = [
        each["spec"]["template"]
        for file in files
        for each in yaml.safe_load_all(file.read_text())
        if each["kind"] == "Deployment"
    ]
    found = {
        f"{template['metadata']['labels']['app']};{port['name']}"
        for template in templates
        for container in template["spec"]["containers"]
        for port in container.get("ports", [])
    }
    assert {each for each in found if kept.fullmatch(each)} == found
    assert len(found) == 3


def test_targets_are_the_webs_that_nginx_asks() -> None:
    """All of them, and one of the machine tells what the machine counts: it would be doubled."""
    upstream = (DEPLOY / "nginx" / "webs-of-units.conf").read_text()
    jobs = {
        job["job_name"]: (
            [target for group in job["static_configs"] for target in group["targets"]],
            job.get("metric_relabel_configs", []),
        )
        for job in yaml.safe_load((RULES.parent / "prometheus.yml").read_text())["scrape_configs"]
    }
    assert sorted(each for targets, _kept in jobs.values() for each in targets) == WEBS
    assert re.findall(r"^ *server (\S+) ", upstream, re.MULTILINE) == WEBS
    (whole,) = [targets for targets, kept in jobs.values() if not kept]
    assert len(whole) == 1
    (kept,) = [kept for _targets, kept in jobs.values() if kept]
    assert [each["action"] for each in kept] == ["keep"]
    counted = {name for family in metrics.REGISTRY.collect() for name in (family.name,)}
    assert [name for name in counted if re.fullmatch(kept[0]["regex"], name)] == []


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **query: str) -> Any:
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return json.loads(answer.read())["data"]

    def value(self, query: str) -> float | None:
        found = self.ask("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        alerts = self.ask("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError("It has not come about.")


@pytest.fixture
def portal(tmp_path: Path) -> Any:
    server = (*GRANIAN, "--workers", "2", "--blocking-threads", "4", "config.wsgi:application")
    with served_portal(tmp_path / "portal", server=server, METRICS_TOKEN=TOKEN) as running:
        yield running


def impatient(rules: str) -> str:
    return re.sub(r"\bfor: \w+", "for: 1s", rules)


@contextlib.contextmanager
def running(*command: str, folder: Path) -> Iterator[None]:
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            yield
        except AssertionError:
            raise AssertionError((folder / "log").read_text()[-4_000:]) from None
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.fixture
def mailbox() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def alertmanager(mailbox: MailServer, tmp_path: Path) -> Iterator[str]:
    """It tells our mail server, at once and without TLS. Yields its address."""
    folder, address = tmp_path / "alertmanager", f"127.0.0.1:{free_port()}"
    folder.mkdir()
    text = (
        (RULES.parent / "alertmanager.yml").read_text().replace("group_wait: 30s", "group_wait: 0s")
    )
    smarthost = f"smarthost: 127.0.0.1:{mailbox.port}\n        require_tls: false"
    (folder / "alertmanager.yml").write_text(
        text.replace("smarthost: mail.example.com:587", smarthost)
    )
    command = (
        *(need("prometheus-alertmanager"), "--config.file=alertmanager.yml"),
        *("--storage.path=data", f"--web.listen-address={address}", "--cluster.listen-address="),
    )
    with running(*command, folder=folder):
        yield address


def test_prometheus_reads_a_portal_and_an_alert_comes_by_email(
    portal: Portal, alertmanager: str, mailbox: MailServer, tmp_path: Path
) -> None:
    """Here without a worker: after three intervals its jobs are overdue. And a portal that is not
    there does not answer."""
    program, port = need("prometheus"), free_port()
    (tmp_path / "alerts.yml").write_text(impatient(RULES.read_text()))
    (tmp_path / "metrics_token").write_text(TOKEN)
    configuration = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    targets = portal.url.removeprefix("http://"), f"127.0.0.1:{free_port()}"
    for web, target in zip(WEBS, targets, strict=True):
        configuration = configuration.replace(f'"{web}"', f'"{target}"')
    configuration = configuration.replace(": 15s", ": 1s").replace("127.0.0.1:9093", alertmanager)
    text = configuration.replace("global:\n", "global:\n  evaluation_interval: 1s\n")
    (tmp_path / "prometheus.yml").write_text(text)
    command = (
        *(program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with running(*command, folder=tmp_path):
        prometheus = Prometheus(f"http://127.0.0.1:{port}")
        refused = 30
        for _each in range(refused):
            request = urllib.request.Request(f"{portal.url}/iam/auth/verify")
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(request, timeout=5)
        total = 'sum(permatoken_verifications_total{endpoint="verify",result="missing"})'
        wait_for(lambda: prometheus.value(total) == refused)  # of two processes, each once
        assert prometheus.value("max(permatoken_database_up)") == 1
        assert prometheus.value('max(permatoken_tokens{status="active"})')
        wait_for(lambda: "PermatokenDown" in prometheus.firing())
        assert "PermatokenDatabaseAway" not in prometheus.firing()
        wait_for(lambda: any("PermatokenDown" in each for each in subjects(mailbox)))


def subjects(mailbox: MailServer) -> list[str]:
    to_operators = [each for each in mailbox.keeper.taken if each.recipient == "ops@example.com"]
    return [str(each.message["Subject"]) for each in to_operators]
