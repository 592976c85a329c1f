"""A real Prometheus reads a portal that runs, and tells when something is wrong with it."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric

from operations.metrics import stored
from operations.metrics.exposition import everything
from telemetry import metrics
from tests.conftest import give_up
from tests.portal import GRANIAN, ROOT, Portal, free_port, served_portal

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
NAME = re.compile(r"permatoken_[a-z_]+")
WEBS = ["127.0.0.1:8000", "127.0.0.1:8001"]
TOKEN = "a token of sixteen characters or more"


def need(program: str) -> str:
    path = shutil.which(program)
    return path or give_up(f"needs {program}; get it with: apt-get install prometheus")


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


def test_configuration_is_one(tmp_path: Path) -> None:
    shutil.copytree(RULES.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "metrics_token").write_text(TOKEN)
    done = subprocess.run(
        [need("promtool"), "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout


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


def test_prometheus_reads_a_portal_and_an_alert_fires(portal: Portal, tmp_path: Path) -> None:
    """Here without a worker: after three intervals its jobs are overdue. And a portal that is not
    there does not answer."""
    program, port = need("prometheus"), free_port()
    (tmp_path / "alerts.yml").write_text(impatient(RULES.read_text()))
    (tmp_path / "metrics_token").write_text(TOKEN)
    configuration = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    targets = portal.url.removeprefix("http://"), f"127.0.0.1:{free_port()}"
    for web, target in zip(WEBS, targets, strict=True):
        configuration = configuration.replace(f'"{web}"', f'"{target}"')
    configuration = configuration.replace(": 15s", ": 1s")
    (tmp_path / "prometheus.yml").write_text(configuration + "  # end\n")
    text = configuration.replace("global:\n", "global:\n  evaluation_interval: 1s\n")
    (tmp_path / "prometheus.yml").write_text(text)
    server = subprocess.Popen(
        [
            *(program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
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
    finally:
        server.terminate()
        server.wait(timeout=20)
