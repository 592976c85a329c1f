"""`/metrics`: who may read it, and what it says."""

import os
import shutil
import subprocess
import sys
import threading
import tomllib
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import OperationalError, close_old_connections
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from accounts.models import Membership
from accounts.throttling.rate_limits import Limit, TooManyTries, acquire
from apitokens.verification.refusals import Refusal
from config.fast_path.shortcut import shortcut
from config.observability.requests import observe_requests
from operations.metrics import stored as stored_metrics
from operations.metrics.exposition import stored
from telemetry import VERSION, files, metrics
from tests import services
from tests.conftest import Api, Issue, give_up
from tests.portal import ROOT

TOKEN = "a token of sixteen characters or more"
pytestmark = [pytest.mark.django_db]


@pytest.fixture(autouse=True)
def own_counts(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    settings.METRICS_TOKEN = TOKEN
    settings.DATA_DIR = tmp_path  # where no other process of the tests counts
    monkeypatch.setattr(files, "writer", files.Writer())
    monkeypatch.setattr(files.Writer, "start", lambda _self, _folder: None)
    stored.forget()
    metrics.begin_anew()
    yield
    metrics.begin_anew()


def scrape(client: Client) -> str:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return answer.content.decode()


def value(text: str, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_metrics_are_for_those_with_the_token(client: Client, settings: Settings) -> None:
    for shown in (None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"):
        headers = {"Authorization": shown} if shown else {}
        answer = client.get("/metrics", headers=headers)
        assert (answer.status_code, b"permatoken_" in answer.content) == (401, False)
    assert "permatoken_build_info" in scrape(client)
    assert client.get("/metrics", headers={"Host": "10.1.2.3"}).status_code == 401

    settings.METRICS_TOKEN = ""
    answer = client.get("/metrics", headers={"Authorization": "Bearer "})
    assert answer.status_code == 404


@pytest.mark.both
def test_what_the_database_knows_is_told(
    client: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    issue(user, expires_at=now + timedelta(days=3))
    issue(user, at=now - timedelta(days=9), expires_at=now - timedelta(days=2))

    text = scrape(client)

    assert value(text, "permatoken_tokens", status="active") == 2
    assert value(text, "permatoken_tokens", status="expiring") == 1
    assert value(text, "permatoken_tokens", status="expired") == 1
    assert value(text, "permatoken_database_up") == 1
    assert value(text, "permatoken_database_writable") == 1
    assert value(text, "permatoken_accounts") == 1
    assert 'permatoken_emails{state="held"} 0' in text
    assert 'permatoken_job_overdue{name="scan-expirations"}' in text


def test_database_that_is_away_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_facts: object) -> None:
        raise OperationalError

    monkeypatch.setattr(stored_metrics, "within", away)
    monkeypatch.setattr(stored_metrics, "_is_in_transaction", lambda: False)

    text = scrape(client)

    assert value(text, "permatoken_database_up") == 0
    assert "permatoken_tokens" not in text
    assert "permatoken_build_info" in text


def test_redis_is_told_where_there_is_one(
    client: Client, settings: Settings, redis_url: str
) -> None:
    settings.REDIS_URL = redis_url
    assert "permatoken_redis_up 1.0" in scrape(client)
    settings.REDIS_URL = f"redis://127.0.0.1:{services.free_port()}/0"
    assert "permatoken_redis_up 0.0" in scrape(client)
    settings.REDIS_URL = ""
    assert not [each for each in scrape(client).splitlines() if each.startswith("permatoken_redis")]


def test_disk_that_refuses_is_told(client: Client, tmp_path: Path) -> None:
    text = scrape(client)
    assert value(text, "permatoken_data_dir_writable") == 1
    assert value(text, "permatoken_data_dir_free_bytes") == pytest.approx(
        shutil.disk_usage(tmp_path).free, abs=1 << 30
    )
    assert list((tmp_path / "metrics").glob("*.probe")) == []

    (tmp_path / "metrics" / f"{os.getpid()}-{threading.get_ident()}.probe").symlink_to("/dev/full")
    assert value(scrape(client), "permatoken_data_dir_writable") == 0
    assert value(scrape(client), "permatoken_data_dir_writable") == 1  # there is room again


def test_prometheus_finds_nothing_to_mend(client: Client, user: Membership, api: Api) -> None:
    if shutil.which("promtool") is None:
        give_up("needs promtool; get it with: apt-get install prometheus")
    metrics.TASKS.labels("accounts.tasks.clear_sessions", "success").inc()
    metrics.HTTP_SECONDS.labels("accounts/<int:account_id>/").observe(0.3)
    metrics.verifications.add("verify", "good", metrics.MEMORY, 0.0001)

    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(client), capture_output=True, text=True
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def wsgi(serve: object, path: str, **environ: str) -> None:
    facts = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "wsgi.input": BytesIO(),
        **environ,
    }
    list(serve(facts, lambda *_facts: None))  # type: ignore[operator]  # a WSGI application


def test_verifications_are_counted_whichever_way_they_take(client: Client) -> None:
    def django(environ: dict[str, str], start: object) -> list[bytes]:
        status, code = environ["say"].split(",")
        start(status, [("X-Auth-Error", code)] if code else [])  # type: ignore[operator]
        return [b'{"active": false}' if environ["PATH_INFO"].endswith("introspect") else b""]

    serve = shortcut(django)
    odd = "APIKey"  # is nothing for the fast path
    for say in ("200 OK,", "401 Unauthorized,expired", "503 Service Unavailable,"):
        wsgi(serve, "/iam/auth/verify", say=say, HTTP_AUTHORIZATION=odd, SCRIPT_NAME="/below")
    wsgi(serve, "/iam/auth/introspect", say="200 OK,")
    wsgi(serve, "/iam/auth/verify", REMOTE_ADDR="10.0.0.1", **{"wsgi.url_scheme": "http"})

    text = scrape(client)
    name = "permatoken_verifications_total"
    assert value(text, name, endpoint="verify", source="database", result="good") == 1
    assert value(text, name, endpoint="verify", source="database", result="expired") == 1
    assert value(text, name, endpoint="verify", source="database", result="error") == 1
    assert value(text, name, endpoint="introspect", result="inactive") == 1
    assert value(text, name, source="memory", result=str(Refusal.MISSING)) == 1
    assert value(text, "permatoken_verification_duration_seconds_count", source="database") == 4


def test_calls_of_the_api_count_what_their_tokens_were(
    client: Client, user: Membership, issue: Issue, api: Api
) -> None:
    api(issue(user).key).get("/iam/clients/me")
    api("nonsense").get("/iam/clients/me")

    text = scrape(client)
    name = "permatoken_verifications_total"
    assert value(text, name, endpoint="api", result="good") == 1
    assert value(text, name, endpoint="api", result="malformed") == 1


def test_requests_are_counted_by_route_and_not_by_address(client: Client) -> None:
    request_started.disconnect(close_old_connections)  # it would close the test's own
    serve = observe_requests(WSGIHandler())
    plain = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    for path in ("/accounts/7/api-tokens/", "/accounts/8/api-tokens/", "/wp-admin.php"):
        wsgi(serve, path, **plain)
    wsgi(serve, "/livez", **plain, REQUEST_METHOD="BREW")
    request_started.connect(close_old_connections)

    text = scrape(client)
    name = "permatoken_http_requests_total"
    assert value(text, name, route="accounts/<int:account_id>/api-tokens/", status="302") == 2
    assert value(text, name, route="none", status="404") == 1
    assert value(text, name, route="livez", method="other") == 1


def test_question_about_a_token_is_counted_once(client: Client) -> None:
    """As a verification, also when Django answers; that about many, as a request of its route."""
    request_started.disconnect(close_old_connections)
    serve = shortcut(observe_requests(WSGIHandler()))
    plain = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    wsgi(serve, "/iam/auth/verify", **plain, HTTP_AUTHORIZATION="Bearer a.b.c")
    wsgi(serve, "/iam/auth/introspect/batch", **plain, REQUEST_METHOD="POST")
    request_started.connect(close_old_connections)

    text = scrape(client)
    assert value(text, "permatoken_verifications_total", endpoint="verify") == 1
    name = "permatoken_http_requests_total"
    assert value(text, name) == value(text, name, route="iam/auth/introspect/batch") == 1


def test_limits_statements_and_events_are_counted(
    client: Client, user: Membership, issue: Issue
) -> None:
    limit = Limit("two-a-minute", 2, timedelta(minutes=1))
    for _each in range(2):
        acquire(limit, "me")
    with pytest.raises(TooManyTries):
        acquire(limit, "me")
    issue(user)

    text = scrape(client)
    assert value(text, "permatoken_rate_limit_refusals_total", limit="two-a-minute") == 1
    assert value(text, "permatoken_audit_events_total", event="token.issued") == 1
    assert value(text, "permatoken_database_statement_duration_seconds_count") > 3


def test_metrics_have_a_port_of_their_own_where_it_is_wanted(tmp_path: Path) -> None:
    port = services.free_port()
    words = [sys.executable, "manage.py", "serve_metrics", "--port", str(port)]
    facts = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    with subprocess.Popen(words, cwd=ROOT, env=facts, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        said = serving.stdout.readline()  # when it listens
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
                told = answer.read().decode()
            taken = subprocess.run(words, cwd=ROOT, env=facts, capture_output=True, text=True)
        finally:
            serving.terminate()

    assert said == f"Metrics are at http://127.0.0.1:{port}/metrics. Stop with Ctrl-C.\n"
    assert "permatoken_build_info{" in told
    assert (taken.returncode, taken.stderr.count("\n")) == (1, 1)
    assert f"Can't listen at 127.0.0.1, port {port}" in taken.stderr
    assert serving.returncode == 0


def test_release_is_the_one_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
