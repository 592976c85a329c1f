"""What is looked up in front of Django is answered as Django answers it; faults are left to it."""

import base64
from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership
from apitokens import keys
from apitokens.cache.token_caches import TOKENS, VERIFIERS
from apitokens.keys import Key
from apitokens.tokens import services as token_services
from apitokens.verification import token_lookup
from apitokens.verification.throttling import forget
from apitokens.verification.verifier_keys import issue_verifier
from config.fast_path.ask_database import ask_database
from config.server.bodies import read_bodies
from config.server.faults import answer_faults
from tests.config.fast_path import test_introspect, test_verify
from tests.config.fast_path.test_introspect import OPERATOR
from tests.config.fast_path.test_verify import HEADERS, Said, kept_connection, nobody, say
from tests.conftest import Issue

pytestmark = [
    pytest.mark.both,
    pytest.mark.django_db,
    pytest.mark.usefixtures("memory", kept_connection.__name__),
]

ASKED = "599 Django was asked"


@pytest.fixture
def key(engineer: Membership, issue: Issue) -> Key:
    return issue(engineer).key


def cold(serve: Any, asked: dict[str, Any]) -> Said:
    """The answer of a process that has just started."""
    TOKENS.forget_all()
    VERIFIERS.forget_all()
    forget()
    return say(serve, asked)


def texts_of(key: Key) -> dict[str, str]:
    return {
        "token": key.spell(),
        "other": key.spell("_"),
        "wrong": Key(key.id, "0" * 64).spell(),
        "unknown": keys.make(771_142_358).spell(),
        "cut": key.spell()[:-1],
        "basic": base64.b64encode(f":{key.spell()}".encode()).decode(),
    }


QUERIES = ["", "role=Users", "role=1", "account=999", "scope=users:read"]


@pytest.mark.parametrize("header", HEADERS)
def test_verification_is_answered_as_by_django(key: Key, header: str) -> None:
    form = HEADERS[header]
    for query in QUERIES:
        asked = test_verify.environ(form and form.format(**texts_of(key)), query)
        by_database, by_django = (
            cold(serve, dict(asked)) for serve in (ask_database(nobody), WSGIHandler())
        )
        assert by_database == by_django, query


@pytest.mark.parametrize("reason", ["deleted", "elsewhere"])
def test_refusal_is_audited_as_by_django(
    engineer: Membership, issue: Issue, now: datetime, reason: str
) -> None:
    allowed = ["192.0.2.0/24"] if reason == "elsewhere" else []
    token, key = issue(engineer, allowed_addresses=allowed)
    if reason == "deleted":
        token_services.delete(token=token, by=Actor.member(engineer), at=now)
    before = AuditEvent.objects.count()
    told = cold(ask_database(nobody), test_verify.environ(f"APIKey {key.spell()}"))
    assert told.status[:3] == ("401" if reason == "deleted" else "403")
    assert AuditEvent.objects.count() == before + 1
    assert AuditEvent.objects.latest("pk").kind == "token.refused"


@pytest.mark.parametrize("caller", ["good", "wrong", "no key's", "none"])
def test_introspection_is_answered_as_by_django(key: Key, now: datetime, caller: str) -> None:
    good = issue_verifier(name="Storage", by=OPERATOR, at=now).key
    shown = {"good": good.spell(), "wrong": Key(good.id, "0" * 64, good.prefix).spell()}
    header = None if caller == "none" else f"Bearer {shown.get(caller, 'x')}"
    texts = texts_of(key)
    ordinary = read_bodies(WSGIHandler())
    for body in test_introspect.BODIES.values():
        sent = body.format(**texts, encoded=texts["token"].replace("$", "%24"))
        by_database, by_django = (
            cold(serve, test_introspect.environ(sent, header))
            for serve in (ask_database(ordinary), ordinary)
        )
        assert by_database == by_django, body
        if caller == "good":
            asked = test_introspect.environ(sent, header)
            assert cold(ask_database(nobody), asked).status == "200 OK"


def test_one_query_answers(key: Key) -> None:
    asked = test_verify.environ(f"APIKey {key.spell()}")
    cold(ask_database(nobody), asked)  # the first use is written down
    with CaptureQueriesContext(connection) as queries:
        assert cold(ask_database(nobody), asked).status == "200 OK"
    assert len(queries) == 1


@pytest.mark.parametrize(
    "odd", [{"CONTENT_LENGTH": "5"}, {"QUERY_STRING": "rol=1"}, {"PATH_INFO": "/sign-in/"}]
)
def test_what_is_odd_is_left_to_django(key: Key, odd: dict[str, str]) -> None:
    asked = test_verify.environ(f"APIKey {key.spell()}")
    assert cold(ask_database(nobody), {**asked, **odd}).status == ASKED


def test_fault_is_logged_and_left_to_django(key: Key, caplog: pytest.LogCaptureFixture) -> None:
    asked = test_verify.environ(f"APIKey {key.spell()}")
    with patch.object(token_lookup, "_run", side_effect=RuntimeError("fault")):
        assert cold(ask_database(nobody), asked).status == ASKED
    assert "Django answers" in caplog.text
    assert key.secret not in caplog.text


def test_outage_is_said_and_met_once(key: Key) -> None:
    asked = test_verify.environ(f"APIKey {key.spell()}")
    with patch.object(token_lookup, "_find", side_effect=OperationalError("away")) as find:
        told = cold(answer_faults(ask_database(nobody)), asked)
    assert told.status == "503 Service Unavailable"
    assert dict(told.headers)["Retry-After"] == "5"
    assert b"can't reach its database" in told.body
    assert find.call_count == 1


def test_address_that_guesses_too_often_waits(key: Key, settings: Settings) -> None:
    settings.REFUSAL_RATE = 2
    serve = ask_database(nobody)
    asked = test_verify.environ(f"APIKey {Key(key.id, '0' * 64).spell()}")
    assert [say(serve, dict(asked)).status[:3] for _time in range(4)] == ["401"] * 2 + ["429"] * 2
