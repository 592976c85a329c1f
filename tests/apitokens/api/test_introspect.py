"""What resource servers are told at /iam/auth/introspect (RFC 7662)."""

import base64
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django import conf
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from accounts.throttling import process_counters
from apitokens import keys
from apitokens.keys import Key
from apitokens.models import APIToken, VerifierKey
from apitokens.tokens import services as token_services
from apitokens.verification.verifier_keys import delete_verifier, issue_verifier
from tests.conftest import Issue

pytestmark = pytest.mark.django_db

INTROSPECT = "/iam/auth/introspect"
FORM = "application/x-www-form-urlencoded"
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture
def caller(now: datetime) -> str:
    """A verifier key, as a resource server has it."""
    return issue_verifier(name="Video storage", by=OPERATOR, at=now).key.spell("_")


@pytest.fixture
def key(engineer: Membership, issue: Issue) -> Key:
    return issue(engineer, role=Role.USERS).key


def ask(
    token: str,
    header: str | None,
    body: bytes | None = None,
    address: str = INTROSPECT,
    **facts: Any,
) -> Any:
    headers = {} if header is None else {"Authorization": header}
    content = f"token={token}".encode() if body is None else body
    return Client().generic(
        facts.pop("method", "POST"),
        address,
        content,
        facts.pop("content_type", FORM),
        headers=headers,
    )


@pytest.mark.parametrize("separator", ["$", "_"])
def test_good_token_is_described(
    engineer: Membership, issue: Issue, caller: str, now: datetime, separator: keys.Separator
) -> None:
    ends = now + timedelta(days=1)
    token, key = issue(engineer, role=Role.USERS, expires_at=ends)

    answer = ask(key.spell(separator), f"Bearer {caller}")

    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer.json() == {
        "active": True,
        "token_type": "APIKey",
        "iss": conf.settings.BASE_URL,
        "jti": str(token.pk),
        "sub": str(engineer.user_id),
        "username": engineer.user.email,
        "client_id": str(engineer.account_id),
        "iat": int(now.timestamp()),
        "exp": int(ends.timestamp()),
        "role": {"id": 2, "name": "Users"},
        "account": engineer.account_id,
    }


def test_token_that_never_expires_has_no_end(key: Key, caller: str) -> None:
    assert "exp" not in ask(key.spell(), f"Bearer {caller}").json()


def test_other_fields_of_the_form_do_not_matter(key: Key, caller: str) -> None:
    body = f"token_type_hint=access_token&token={key.spell('_')}&x=".encode()
    assert ask("", f"Bearer {caller}", body).json()["active"] is True


@pytest.mark.parametrize("name", ["", "storage", "ü"])
def test_key_may_come_as_the_password_of_basic(key: Key, caller: str, name: str) -> None:
    pair = base64.b64encode(f"{name}:{caller}".encode()).decode()
    assert ask(key.spell(), f"Basic {pair}").json()["active"] is True


@pytest.mark.parametrize("pair", ["client%3A1:{key}", "{key}:", "{key}"])
def test_key_may_be_form_encoded_in_basic(key: Key, caller: str, pair: str) -> None:
    """RFC 6749, 2.3.1: user name and password are, before Basic encodes them."""
    for spelling in (caller.replace("_", "%5F"), quote("$".join(caller.rsplit("_", 1)))):
        shown = base64.b64encode(pair.format(key=spelling).encode()).decode()
        assert ask(key.spell(), f"Basic {shown}").status_code == 200, spelling


@pytest.mark.parametrize("order", ["client_secret={c}&token={t}", "token={t}&client_secret={c}"])
def test_key_may_come_in_the_form(key: Key, caller: str, order: str) -> None:
    body = order.replace("{c}", caller).replace("{t}", key.spell("_")) + "&client_id=x"
    assert ask("", None, body.encode()).json()["active"] is True
    assert ask("", "", body.encode()).json()["active"] is True


def test_key_may_come_as_the_user_name_of_basic(key: Key, caller: str) -> None:
    for pair, status in ((f"{caller}:", 200), (caller, 200), (f"{caller}:{caller}", 401)):
        header = f"Basic {base64.b64encode(pair.encode()).decode()}"
        assert ask(key.spell(), header).status_code == status, pair


@pytest.mark.parametrize("after", ["%0A", "+", "%20%0D%0A", "%E2%80%8B", "%EF%BB%BF", "%C2%A0"])
def test_blanks_around_token_and_key_are_none_of_theirs(key: Key, caller: str, after: str) -> None:
    body = f"token={after}{key.spell('_')}{after}&client_secret={caller}{after}".encode()
    assert ask("", None, body).json()["active"] is True
    assert ask("", f"Bearer\t{caller}", body.partition(b"&")[0]).json()["active"] is True


def test_form_may_begin_with_the_mark_of_utf_8(key: Key, caller: str) -> None:
    body = b"\xef\xbb\xbf" + f"token={key.spell('_')}".encode()
    assert ask("", f"Bearer {caller}", body).json()["active"] is True


def test_blanks_alone_are_no_token(caller: str) -> None:
    assert ask("", f"Bearer {caller}", b"token=%0A").status_code == 400


def test_key_may_not_come_in_two_ways(key: Key, caller: str) -> None:
    body = f"token={key.spell('_')}&client_secret={caller}".encode()
    answer = ask("", f"Bearer {caller}", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        ("client_secret=", "malformed"),
        ("client_secret=x", "malformed"),
        ("client_secret={t}", "malformed"),
        ("client_secret={c}&client_secret={c}", "missing"),
        ("client_id={c}", "missing"),
        ("Client_Secret={c}", "missing"),
    ],
)
def test_form_without_a_good_key_is_told_nothing(
    key: Key, caller: str, secret: str, code: str
) -> None:
    body = f"token={key.spell('_')}&{secret}".replace("{c}", caller).replace("{t}", key.spell("_"))
    answer = ask("", None, body.encode())
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.json()["error"] == "invalid_client"


def test_key_in_the_address_is_no_key(key: Key, caller: str) -> None:
    answer = ask(key.spell("_"), None, address=f"{INTROSPECT}?client_secret={caller}")
    assert answer.status_code == 401


def test_whatever_is_not_good_is_inactive_and_nothing_more(
    engineer: Membership, issue: Issue, caller: str, now: datetime, key: Key
) -> None:
    deleted, deleted_key = issue(engineer)
    token_services.delete(token=deleted, by=Actor.member(engineer), at=now)
    _expired, expired_key = issue(
        engineer, at=now - timedelta(days=2), expires_at=now - timedelta(days=1)
    )
    texts = [
        deleted_key.spell(),
        expired_key.spell(),
        Key(key.id, "0" * 64).spell(),
        keys.make(771_142_358).spell(),
        key.spell()[:-1],
        caller,
        "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        "x" * 100_000,
        "%00",
        "%FF",
        "é",
    ]
    answers = [ask(text, f"Bearer {caller}") for text in texts]
    assert [answer.status_code for answer in answers] == [200] * len(texts)
    assert [answer.json() for answer in answers] == [{"active": False}] * len(texts)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer x", "Basic", "Basic x", "Basic Og==", "Token x", "APIKey {token}"],
)
def test_without_a_verifier_key_nothing_is_told(key: Key, header: str | None) -> None:
    sent = header.replace("{token}", key.spell()) if header else header
    answer = ask(key.spell(), sent)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith('Bearer realm="permatoken"')
    assert "active" not in answer.json()
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("form", ["Bearer {token}", "Bearer verifier_{token}"])
def test_api_token_is_no_verifier_key(key: Key, form: str) -> None:
    answer = ask(key.spell(), form.replace("{token}", key.spell("_")))
    assert (answer.status_code, answer.json()["code"]) == (401, "malformed")


def test_unknown_caller_and_wrong_secret_are_told_alike(key: Key, caller: str) -> None:
    verifier = VerifierKey.objects.get()
    wrong = Key(verifier.pk, "0" * 64, keys.VERIFIER).spell("_")
    missing = keys.make(771_142_358, keys.VERIFIER).spell("_")
    answers = [ask(key.spell(), f"Bearer {each}") for each in (wrong, missing)]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content


def test_deleted_caller_is_told_so(key: Key, caller: str, now: datetime) -> None:
    delete_verifier(verifier=VerifierKey.objects.get(), by=OPERATOR, at=now)
    answer = ask(key.spell(), f"Bearer {caller}")
    assert (answer.status_code, answer.json()["code"]) == (401, "deleted")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_a_post_asks(key: Key, caller: str, method: str) -> None:
    answer = ask(key.spell(), f"Bearer {caller}", method=method)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_token_in_the_address_is_refused_even_beside_a_good_form(key: Key, caller: str) -> None:
    address = f"{INTROSPECT}?token={key.spell('_')}"
    answer = ask(key.spell(), f"Bearer {caller}", address=address)
    assert answer.status_code == 400
    assert "logs" in answer.json()["errors"]["token"][0]
    assert key.secret not in answer.content.decode()


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "", "multipart/form-data"]
)
def test_what_is_no_form_is_refused(key: Key, caller: str, content_type: str) -> None:
    answer = ask(key.spell(), f"Bearer {caller}", content_type=content_type)
    assert answer.status_code == 415
    assert FORM in answer.json()["errors"]["token"][0]


@pytest.mark.parametrize("body", [b"token=", b"x=1", b"token=a&token=b", b"&" * 50 + b"a=1", b"\0"])
def test_question_without_one_token_is_refused(caller: str, body: bytes) -> None:
    answer = ask("", f"Bearer {caller}", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_body_beyond_measure_is_refused(caller: str) -> None:
    assert ask("x" * 1_000_000, f"Bearer {caller}").status_code == 413


def test_use_is_remembered_without_the_callers_address(key: Key, caller: str) -> None:
    ask(key.spell(), f"Bearer {caller}")
    assert APIToken.objects.get(pk=key.id).last_used_address is None


def test_refusals_of_unknown_clients_do_not_concern_known_systems(
    key: Key, caller: str, now: datetime, settings: Settings
) -> None:
    settings.REFUSAL_RATE = 3
    for _time in range(3):
        process_counters.count_refusal(None, at=timezone.now())
    assert ask(key.spell(), f"Bearer {caller}").json()["active"] is True


def test_hot_question_asks_no_database(memory: None, key: Key, caller: str) -> None:
    for _time in range(2):
        ask(key.spell(), f"Bearer {caller}")
    with CaptureQueriesContext(connection) as queries:
        assert ask(key.spell(), f"Bearer {caller}").json()["active"] is True
    assert not queries.captured_queries
