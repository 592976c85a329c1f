"""Many tokens at once: each is answered as if it had been asked about alone."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from apitokens.api.introspect_batch import MOST
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.verification.verifier_keys import delete_verifier, issue_verifier
from tests.conftest import Issue
from tests.described import description, resolved, validator

pytestmark = pytest.mark.django_db

BATCH, ALONE = "/iam/auth/introspect/batch", "/iam/auth/introspect"
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture
def caller(now: datetime) -> str:
    return issue_verifier(name="Gateway", by=OPERATOR, at=now).key.spell("_")


@pytest.fixture
def key(engineer: Membership, issue: Issue) -> Key:
    return issue(engineer, role=Role.USERS).key


def ask(tokens: Any, caller: str | None, **facts: Any) -> Any:
    headers = {} if caller is None else {"Authorization": f"Bearer {caller}"}
    body = tokens if isinstance(tokens, bytes) else json.dumps(tokens).encode()
    return Client().generic(
        facts.pop("method", "POST"),
        facts.pop("address", BATCH),
        body,
        facts.pop("content_type", "application/json"),
        headers={**headers, **facts},
    )


def alone(token: str, caller: str) -> Any:
    form = "application/x-www-form-urlencoded"
    body = urlencode({"token": token}).encode()
    return ask(body, caller, address=ALONE, content_type=form).json()


def test_each_token_is_answered_as_if_asked_alone_in_order(
    key: Key, caller: str, engineer: Membership, issue: Issue, now: datetime
) -> None:
    dead, dead_key = issue(engineer)
    token_services.delete(token=dead, by=OPERATOR, at=now)
    tokens = [
        *(key.spell(), "nonsense", key.spell("_"), dead_key.spell()),
        *(Key(key.id, "0" * 64).spell(), f" {key.spell()}\n", "a.b.c", "ü$x", "x" * 5000),
    ]
    answer = ask(tokens, caller)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    expected = [alone(token, caller) for token in tokens]
    assert answer.json() == expected
    assert [each["active"] for each in expected] == [
        *(True, False, True, False, False, True, False, False, False)
    ]


@pytest.mark.parametrize(
    "around",
    ["\u200b{}", "{}\u200b", "\ufeff{}", "{}\xa0", "{}\x0b", "{}\x0c", "{}\x1c", "{}\u3000"],
)
def test_what_is_copied_along_is_left_out_as_for_one_alone(
    key: Key, caller: str, around: str
) -> None:
    text = around.format(key.spell())
    assert ask([text], caller).json() == [alone(text, caller)]


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "\xa0", "\u200b\ufeff", "\x0b", "\x1c", "x", " x "]
)
def test_text_is_taken_as_it_is_described(caller: str, text: str) -> None:
    body = resolved(description()["paths"][BATCH]["post"]["requestBody"])
    judge = validator(body["content"]["application/json"]["schema"])
    assert (ask([text], caller).status_code == 200) is judge.is_valid([text])


def test_each_use_is_recorded(key: Key, caller: str) -> None:
    ask([key.spell()], caller)
    assert APIToken.objects.get(pk=key.id).last_used_at is not None


def test_token_that_is_used_too_often_says_so_in_its_place(
    key: Key, caller: str, engineer: Membership, issue: Issue, settings: Settings
) -> None:
    settings.TOKEN_RATE = 2
    other = issue(engineer).key
    answers = ask([key.spell()] * 3 + [other.spell()], caller).json()
    assert [each.get("active") for each in answers] == [True, True, None, True]
    assert answers[2]["code"] == "too_many"
    assert 0 < answers[2]["retry_after"] <= 60


def test_hundred_tokens_are_answered_and_no_more(key: Key, caller: str) -> None:
    assert len(ask([key.spell()] * MOST, caller).json()) == MOST
    assert ask([key.spell()] * (MOST + 1), caller).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        *(b" ", b"[]", b"{}", b'"x"', b"null", b"[1]", b"[null]", b'[""]', b'[" "]', b'[["x"]]'),
        *(b'["x"', b"\xff", b'["x"],', b"NaN", b"[" * 100_000, b'{"tokens": ["x"]}'),
        b'[{"token": "x", "token": "y"}]',
    ],
)
def test_body_that_is_no_such_array_is_refused(caller: str, body: bytes) -> None:
    answer = ask(body, caller)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("token", ["\ud800$x", "\ud800.x.y", "\x00", "1$" + "0" * 64, "é.b.c"])
def test_odd_text_is_not_active(caller: str, token: str) -> None:
    assert ask([token], caller).json() == [{"active": False}]


def test_body_of_another_kind_is_refused(key: Key, caller: str) -> None:
    kind = "application/x-www-form-urlencoded"
    assert ask([key.spell()], caller, content_type=kind).status_code == 415


@pytest.mark.parametrize("kind", ["application/vnd.x+json", "Application/JSON; charset=utf-8"])
def test_json_may_have_any_of_its_names(key: Key, caller: str, kind: str) -> None:
    assert ask([key.spell()], caller, content_type=kind).json()[0]["active"] is True


def test_token_in_the_address_is_refused(key: Key, caller: str) -> None:
    address = f"{BATCH}?token={key.spell('_')}"
    assert ask([key.spell()], caller, address=address).status_code == 400


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_only_post_is_allowed(caller: str, method: str) -> None:
    assert ask([], caller, method=method).status_code == 405


@pytest.mark.parametrize("caller_text", [None, "", "verifier_1_x", "771142358$x"])
def test_nobody_else_is_told_anything(key: Key, caller_text: str | None) -> None:
    answer = ask([key.spell()], caller_text)
    assert answer.status_code == 401
    assert "active" not in answer.content.decode()


def test_deleted_verifier_is_told_nothing(key: Key, now: datetime) -> None:
    verifier, caller = issue_verifier(name="Gateway", by=OPERATOR, at=now)
    delete_verifier(verifier=verifier, by=OPERATOR, at=timezone.now())
    assert ask([key.spell()], caller.spell("_")).status_code == 401


def test_strange_host_is_refused(key: Key, caller: str) -> None:
    assert ask([key.spell()], caller, Host="evil.example").status_code == 400
