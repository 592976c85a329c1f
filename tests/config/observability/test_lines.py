"""Each request has one line, and an id that leads from it to what it caused."""

import json
import logging
import time
from collections.abc import Iterable
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import AuditEvent, Membership
from config.fast_path.shortcut import shortcut
from config.logs.formats import FACTS, AddRequestId, JSONLines, RefusalsOnce, TextLines
from config.observability import lines, tasks
from config.observability.lines import NOTES
from config.observability.requests import observe_requests
from telemetry import files
from telemetry.context import request_id, working_for
from tests.conftest import Issue

PEER = "10.0.0.9"
LINES = "permatoken.requests"


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.Writer, "start", lambda _self, _folder: None)
    monkeypatch.setattr(lines, "refused_verifications", lines._Sampler())


def ask(
    path: str = "/iam/clients/me", status: str = "200 OK", notes: Any = None, **environ: str
) -> tuple[dict[str, str], list[str]]:
    """The headers of the answer, and the ids that were known while it was made."""
    seen: list[str] = []
    headers: dict[str, str] = {}

    def serve(facts: dict[str, Any], start: Any) -> Iterable[bytes]:
        seen.append(request_id())
        facts[NOTES] = notes or {}
        start(status, [("Content-Type", "text/plain")])
        return [b""]

    facts = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": PEER, **environ}
    observe_requests(serve)(facts, lambda _status, found: headers.update(found))
    return headers, seen


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [getattr(record, FACTS) for record in caplog.records if record.name == LINES]


def test_request_has_one_line_with_ids_and_no_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notes = {"route": "iam/clients/<int:id>", "user": 7, "token": 42, "code": "expired"}

    headers, _seen = ask("/iam/clients/5", "401 Unauthorized", notes)

    (facts,) = told(caplog)
    assert facts.pop("duration_ms") >= 0
    assert facts == {**notes, "method": "GET", "status": 401, "client": PEER}
    assert "GET iam/clients/<int:id> 401 in " in caplog.text
    assert f"ms from {PEER} code=expired user=7 token=42" in caplog.text
    assert len(headers["X-Request-ID"]) == 16


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/static/css/a.css"])
def test_success_of_probes_is_no_news(path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ask(path)
    assert told(caplog) == []
    ask(path, "503 Service Unavailable")
    assert told(caplog)[0]["status"] == 503


def test_id_is_taken_from_a_trusted_proxy_alone(settings: Settings) -> None:
    headers, (seen,) = ask(HTTP_X_REQUEST_ID="of-a-stranger")
    assert headers["X-Request-ID"] == seen != "of-a-stranger"
    settings.TRUSTED_PROXIES = [ip_network(f"{PEER}/32")]
    headers, (seen,) = ask(HTTP_X_REQUEST_ID="of-the-proxy-1")
    assert headers["X-Request-ID"] == seen == "of-the-proxy-1"
    for bad in ("short", "with a blank", "x" * 65, "a\nb\nc\nd\ne\nf", "ä" * 10):
        assert ask(HTTP_X_REQUEST_ID=bad)[1] != [bad]
    assert request_id() == ""


@pytest.mark.django_db
def test_id_that_is_a_token_is_not_taken(
    settings: Settings, user: Membership, issue: Issue
) -> None:
    settings.TRUSTED_PROXIES = [ip_network(f"{PEER}/32")]
    token = issue(user).key.spell().replace("$", "_")[:64]
    assert ask(HTTP_X_REQUEST_ID=token)[1] != [token]


@pytest.mark.django_db
def test_audit_events_have_the_id(user: Membership, issue: Issue) -> None:
    with working_for("a-request-1"):
        issue(user)
    event = AuditEvent.objects.get(kind="token.issued")
    assert event.details["request_id"] == "a-request-1"


def test_tasks_have_the_id_of_what_has_sent_them() -> None:
    headers: dict[str, Any] = {}
    with working_for("a-request-2"):
        tasks.send_request_id(headers=headers)
    assert headers == {"request_id": "a-request-2"}
    task = SimpleNamespace(name="a.task", request=SimpleNamespace(**headers))
    tasks.note_begin(task_id="task-1234", task=task)  # type: ignore[arg-type]  # as Celery's
    assert request_id() == "a-request-2"
    tasks.count(task_id="task-1234", task=task, state="SUCCESS")  # type: ignore[arg-type]
    assert request_id() == ""


def verify(caplog: pytest.LogCaptureFixture, status: str, times: int = 1) -> list[dict[str, Any]]:
    caplog.set_level(logging.INFO)
    caplog.clear()

    def serve(_environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(status, [("X-Auth-Error", "expired")] if status.startswith("4") else [])
        return [b""]

    observed = shortcut(serve)
    for _each in range(times):
        environ = {"PATH_INFO": "/iam/auth/verify", "REQUEST_METHOD": "GET", "REMOTE_ADDR": PEER}
        list(observed({**environ, "SCRIPT_NAME": "/x"}, lambda *_facts: None))
    return told(caplog)


def test_good_verifications_have_a_line_only_if_wanted(
    caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    assert verify(caplog, "200 OK") == []
    (refused,) = verify(caplog, "401 Unauthorized")
    assert (refused["code"], refused["status"]) == ("expired", 401)
    settings.LOG_VERIFY = "all"
    assert len(verify(caplog, "200 OK", 3)) == 3


def test_guesses_fill_no_log(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    assert len(verify(caplog, "401 Unauthorized", 100)) == lines.MOST_REFUSED
    monkeypatch.setattr(time, "monotonic", lambda: 6.0)
    (next_one,) = verify(caplog, "401 Unauthorized")
    assert next_one["left_out"] == 80


# --- Forms ---------------------------------------------------------------------------------------


def record(**more: Any) -> logging.LogRecord:
    made = logging.LogRecord("a.logger", logging.ERROR, "", 1, "It is %s.", ("late",), None)
    made.__dict__.update(more)
    return made


def test_line_of_json_is_one_object() -> None:
    with working_for("a-request-3"):
        try:
            raise ValueError("a fault")
        except ValueError as error:
            made = record(exc_info=(ValueError, error, error.__traceback__), **{FACTS: {"user": 7}})
        AddRequestId().filter(made)
    text = JSONLines().format(made)
    line = json.loads(text)
    assert (line["message"], line["level"], line["user"]) == ("It is late.", "ERROR", 7)
    assert line["request_id"] == "a-request-3"
    assert "ValueError: a fault" in line["traceback"]
    assert "\n" not in text
    assert len(json.loads(JSONLines().format(record(msg="x" * 5000, args=())))["message"]) < 1100


def test_line_of_text_ends_with_the_id() -> None:
    form = TextLines("{levelname} {message}", style="{")
    assert form.format(record()) == "ERROR It is late."
    assert form.format(record(request_id="abc")) == "ERROR It is late. [abc]"


def test_refusals_are_told_once() -> None:
    keep = RefusalsOnce().filter
    assert not keep(record(name="django.request", status_code=404))
    assert keep(record(name="django.request", status_code=500))
    assert keep(record(name="accounts", status_code=404))


@pytest.mark.django_db
def test_middleware_notes_who_it_was(
    client: Client, user: Membership, issue: Issue, api: Any
) -> None:
    token = issue(user)
    answer = api(token.key).get("/iam/clients/me")
    notes = answer.wsgi_request.META[NOTES]
    assert (notes["user"], notes["token"], notes["code"]) == (user.user_id, token.token.pk, None)
    assert notes["route"] == "iam/clients/me"
    refused = api("nonsense").get("/iam/clients/me").wsgi_request.META[NOTES]
    assert (refused["user"], refused["code"]) == (None, "malformed")
