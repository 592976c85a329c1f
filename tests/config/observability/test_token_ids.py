"""A line about a token leads to it: it has the id that was sent, and nothing of the secret."""

import base64
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from apitokens import keys
from apitokens.api.introspect import FORM
from apitokens.keys import Key
from apitokens.verification.verifier_keys import IssuedVerifier, issue_verifier
from config.fast_path.ask_database import ask_database
from config.fast_path.shortcut import shortcut
from config.logs.formats import FACTS, JSONLines, TextLines
from config.observability import lines
from config.observability.requests import observe_requests
from config.observability.sent_ids import issuer_known
from config.server.bodies import read_bodies
from telemetry import files
from tests.config.fast_path.test_verify import kept_connection
from tests.conftest import Issue

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both,
    pytest.mark.usefixtures("memory", kept_connection.__name__),
]

VERIFY, INTROSPECT = "/iam/auth/verify", "/iam/auth/introspect"
BATCH = f"{INTROSPECT}/batch"
UNKNOWN_ID = 771_142_358
LINES = "permatoken.requests"


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.Writer, "start", lambda _self, _folder: None)
    monkeypatch.setattr(lines, "refused_verifications", lines._Sampler())


@pytest.fixture
def verifier(now: datetime) -> IssuedVerifier:
    operator = Actor.operator(through=EntryPoint.COMMAND)
    return issue_verifier(name="Storage", by=operator, at=now)


@pytest.fixture
def expired(user: Membership, issue: Issue, now: datetime) -> Key:
    return issue(user, at=now - timedelta(days=9), expires_at=now - timedelta(days=2)).key


def django_alone(environ: dict[str, Any], start_response: Any) -> Any:
    return observe_requests(read_bodies(WSGIHandler()))(environ, start_response)


Told = Callable[..., dict[str, Any]]


@pytest.fixture(params=["the database", "Django"])
def told(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Told:
    """What the line of a request tells. By the shortest way that answers it, or by Django's."""
    caplog.set_level(logging.INFO)
    behind = ask_database(django_alone) if request.param == "the database" else django_alone

    def tell(path: str, header: str | None = None, body: str = "", **facts: str) -> dict[str, Any]:
        made = RequestFactory().generic("POST" if body else "GET", path, body).META | facts
        if header is not None:
            made["HTTP_AUTHORIZATION"] = header
        caplog.clear()
        lines.refused_verifications = lines._Sampler()
        environ = {**made, "wsgi.input": BytesIO(body.encode())}
        list(shortcut(behind)(environ, lambda *_facts: None))
        (record,) = [each for each in caplog.records if each.name == LINES]
        written = [form.format(record) for form in (JSONLines(), TextLines("{message}", style="{"))]
        found: dict[str, Any] = getattr(record, FACTS)
        for name in {"token", "verifier"} & found.keys():
            assert json.loads(written[0])[name] == found[name]
            assert f" {name}={found[name]}" in written[1]
        return found

    return tell


def ids(found: dict[str, Any]) -> dict[str, Any]:
    names = ("code", "user", "token", "verifier", "tokens", "refused")
    return {name: found[name] for name in names if name in found}


def test_refused_verification_names_the_token(told: Told, user: Membership, expired: Key) -> None:
    for _from_memory_too in range(3):
        line = told(VERIFY, f"APIKey {expired.spell()}")
        assert ids(line) == {"code": "expired", "user": user.user_id, "token": expired.id}
    basic = base64.b64encode(f":{expired.spell()}".encode()).decode()
    assert told(VERIFY, f"Basic {basic}")["token"] == expired.id
    assert told(VERIFY, f"Bearer {expired.spell('_')}")["token"] == expired.id


def test_id_is_the_one_that_was_sent_whether_there_is_such_a_token_or_not(
    told: Told, expired: Key
) -> None:
    for key in (keys.make(UNKNOWN_ID), keys.make(expired.id)):
        for _from_memory_too in range(3):
            line = told(VERIFY, f"APIKey {key.spell()}")
            assert ids(line) == {"code": "unknown", "token": key.id}


@pytest.mark.parametrize(
    "shown", ["{0}x", "{1}", "771142358", "771142358$secret", "hunter2", "", "é", "0$1"]
)
def test_text_that_is_no_token_gives_no_id(told: Told, expired: Key, shown: str) -> None:
    text = shown.format(expired.spell(), expired.spell()[:-1])
    assert ids(told(VERIFY, f"APIKey {text}")) == {"code": "malformed"}
    assert ids(told(VERIFY)) == {"code": "missing"}


def test_token_that_is_not_enough_is_named(told: Told, user: Membership, issue: Issue) -> None:
    key = issue(user).key
    line = told(VERIFY, f"APIKey {key.spell()}", QUERY_STRING="account=1")
    assert ids(line) == {"code": "wrong_account", "user": user.user_id, "token": key.id}


def test_good_ones_are_named_where_all_are_told(
    told: Told, user: Membership, issue: Issue, verifier: IssuedVerifier, settings: Settings
) -> None:
    settings.LOG_VERIFY = "all"
    key, known = issue(user).key, verifier.key.spell("_")
    for _from_memory_too in range(3):
        assert ids(told(VERIFY, f"APIKey {key.spell()}")) == {
            "user": user.user_id,
            "token": key.id,
        }
        asked = told(INTROSPECT, f"Bearer {known}", form(key), CONTENT_TYPE=FORM)
        assert ids(asked) == {
            "user": user.user_id,
            "token": key.id,
            "verifier": verifier.verifier.pk,
        }


def test_nobody_is_named_for_a_secret_that_was_not_looked_at(
    told: Told, user: Membership, issue: Issue
) -> None:
    key = issue(user).key
    told(VERIFY, f"APIKey {key.spell()}", QUERY_STRING="account=1")  # it is in memory now
    facts: dict[str, Any] = {"token_id": key.id, "status": 403, "headers": [], "body": b""}
    assert issuer_known(result="role_too_low", **facts) == user.user_id
    assert issuer_known(result="https_required", **facts) is None


@pytest.mark.parametrize("text", ["\ufefftoken={}", "token=%E2%80%8B{}", "token=%20{}%C2%A0"])
def test_token_is_found_where_introspection_finds_it(
    told: Told, expired: Key, verifier: IssuedVerifier, text: str
) -> None:
    known, body = verifier.key.spell("_"), text.format(expired.spell("_"))
    line = told(INTROSPECT, f"Bearer {known}", body, CONTENT_TYPE=FORM)
    assert (line["code"], line["token"]) == ("inactive", expired.id)


def form(key: Key, **more: str) -> str:
    return urlencode({"token": key.spell(), **more})


def test_introspection_names_the_token_and_who_asks(
    told: Told, expired: Key, verifier: IssuedVerifier
) -> None:
    known, unknown = verifier.key.spell("_"), keys.make(UNKNOWN_ID, keys.VERIFIER).spell("_")
    basic = base64.b64encode(f"storage:{known}".encode()).decode()
    right = {"token": expired.id, "verifier": verifier.verifier.pk}
    for shown in (f"Bearer {known}", f"Bearer {known}", f"Basic {basic}"):
        line = told(INTROSPECT, shown, form(expired), CONTENT_TYPE=FORM)
        assert ids(line) == {"code": "inactive", **right}
    line = told(INTROSPECT, None, form(expired, client_secret=known), CONTENT_TYPE=FORM)
    assert ids(line) == {"code": "inactive", **right}

    refused = told(INTROSPECT, f"Bearer {unknown}", form(expired), CONTENT_TYPE=FORM)
    assert ids(refused) == {"code": "unknown", "token": expired.id, "verifier": UNKNOWN_ID}


def test_question_about_many_names_those_that_are_refused(
    told: Told, user: Membership, expired: Key, verifier: IssuedVerifier, issue: Issue,
    settings: Settings,
) -> None:  # fmt: skip
    good, other = issue(user).key, keys.make(UNKNOWN_ID)
    body = json.dumps([expired.spell(), good.spell(), other.spell(), "nonsense", "ä"])
    shown = f"Bearer {verifier.key.spell('_')}"
    kind = "application/json"

    line = told(BATCH, shown, body, CONTENT_TYPE=kind)
    assert ids(line) == {"refused": [expired.id, UNKNOWN_ID], "verifier": verifier.verifier.pk}
    assert f"refused={expired.id},{UNKNOWN_ID}" in lines._in_words(line)
    settings.LOG_VERIFY = "all"
    all_of_them = told(BATCH, shown, body, CONTENT_TYPE=kind)
    assert all_of_them["tokens"] == [expired.id, good.id, UNKNOWN_ID]

    for shown, found in (
        ("verifier_1_2", {"code": "malformed"}),
        (keys.make(UNKNOWN_ID, keys.VERIFIER).spell(), {"code": "unknown", "verifier": UNKNOWN_ID}),
    ):
        assert ids(told(BATCH, f"Bearer {shown}", body, CONTENT_TYPE=kind)) == found


def test_refused_call_of_the_api_names_the_token(told: Told, expired: Key) -> None:
    line = told("/iam/clients/me", f"APIKey {expired.spell()}")
    assert ids(line) == {"code": "expired", "token": expired.id}


def test_no_line_has_anything_of_a_secret(
    told: Told, expired: Key, verifier: IssuedVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    spelled, known = expired.spell(), verifier.key.spell("_")
    for shown in (spelled, spelled[:-1], f"{spelled}x", f"{expired.id}{spelled}"):
        told(VERIFY, f"APIKey {shown}")
        for who in (known, shown):
            told(INTROSPECT, f"Bearer {who}", urlencode({"token": shown}), CONTENT_TYPE=FORM)
            told(BATCH, f"Bearer {who}", json.dumps([shown]), CONTENT_TYPE="application/json")
            everything = str([vars(each) for each in caplog.records])
            assert expired.secret[:16] not in everything
            assert verifier.key.secret[:16] not in everything


def test_good_answer_pays_nothing_for_lines_about_others(
    user: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default it has no line, and what was sent is not looked at again."""
    key, looked = issue(user).key, list[str]()
    monkeypatch.setattr(lines, "ids_in_question", lambda *_facts, **_more: looked.append("x"))
    serve = shortcut(ask_database(django_alone))
    for _from_memory_too in range(3):
        environ = RequestFactory().get(VERIFY, headers={"Authorization": f"APIKey {key.spell()}"})
        assert list(serve(environ.META, lambda *_facts: None)) == [b""]
    assert looked == []
