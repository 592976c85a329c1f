"""What reverse proxies are told at /iam/auth/verify."""

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.authorization.actor import Actor, EntryPoint
from accounts.jwt import token_families
from accounts.models import Membership
from accounts.roles import Role
from accounts.users import services as people
from apitokens import keys
from apitokens.api.responses import InvalidRequirement, read_requirement
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.verification.refusals import Requirement
from apitokens.verification.verifier_keys import issue_verifier
from tests.conftest import Issue

pytestmark = pytest.mark.django_db

VERIFY = "/iam/auth/verify"
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture
def key(engineer: Membership, issue: Issue) -> Key:
    return issue(engineer, role=Role.PURGE_AND_PREFETCH_API).key


def ask(header: str | None, query: dict[str, Any] | None = None, method: str = "GET") -> Any:
    headers = {} if header is None else {"Authorization": header}
    address = f"{VERIFY}?{'&'.join(f'{name}={value}' for name, value in (query or {}).items())}"
    return Client().generic(method, address, headers=headers)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("separator", ["$", "_"])
def test_good_token_is_told_who_it_is(
    engineer: Membership, key: Key, method: str, separator: keys.Separator
) -> None:
    answer = ask(f"APIKey {key.spell(separator)}", method=method)

    assert (answer.status_code, answer.content) == (200, b"")
    assert {name: value for name, value in answer.items() if name.startswith("X-Auth-")} == {
        "X-Auth-Token-Id": str(key.id),
        "X-Auth-Account-Id": str(engineer.account_id),
        "X-Auth-User-Id": str(engineer.user_id),
        "X-Auth-User-Email": engineer.user.email,
        "X-Auth-Role": "Purge and Prefetch only (API)",
        "X-Auth-Scopes": "*",
    }
    assert answer["Cache-Control"] == "no-store"


def test_role_is_the_issuers_present_one_if_that_is_weaker(engineer: Membership, key: Key) -> None:
    Membership.objects.filter(pk=engineer.pk).update(role=Role.USERS)
    assert ask(f"APIKey {key.spell()}")["X-Auth-Role"] == "Users"


@pytest.mark.parametrize("role", ["2", "Users", "3022", "Purge%20and%20Prefetch+only+(API)"])
def test_role_that_the_token_covers_is_enough(key: Key, role: str) -> None:
    assert ask(f"APIKey {key.spell()}", {"role": role}).status_code == 200


@pytest.mark.parametrize("role", ["1", "Engineers", "3009"])
def test_role_above_the_tokens_is_forbidden(key: Key, role: str) -> None:
    answer = ask(f"APIKey {key.spell()}", {"role": role})
    assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low")
    assert [name for name in answer.headers if name.startswith("X-Auth-")] == ["X-Auth-Error"]


def test_own_account_is_enough(engineer: Membership, key: Key) -> None:
    assert ask(f"APIKey {key.spell()}", {"account": engineer.account_id}).status_code == 200


def test_other_account_is_forbidden_whether_it_exists_or_not(
    key: Key, stranger: Membership
) -> None:
    answers = [
        ask(f"APIKey {key.spell()}", {"account": account}).json()
        for account in (stranger.account_id, 999_999)
    ]
    assert answers[0] == answers[1]
    assert answers[0]["code"] == "wrong_account"


@pytest.mark.parametrize(
    "query",
    [
        "role=Nobody",
        "role=",
        "role=1&role=2",
        "account=x",
        "account=-1",
        "account=1&account=1",
        "rol=1",
        "role[]=1",
        "token=x",
        "role=%00",
        "role=%FF",
    ],
)
def test_question_that_makes_no_sense_is_told_so_and_lets_nobody_in(key: Key, query: str) -> None:
    answer = Client().get(f"{VERIFY}?{query}", headers={"Authorization": f"APIKey {key.spell()}"})
    assert answer.status_code == 400
    assert list(answer.json()["errors"])


def test_question_is_read_however_it_is_spelled() -> None:
    assert read_requirement("%72ole=%55sers&account=7") == Requirement(Role.USERS, 7)


def test_answer_does_not_grow_with_the_number_of_parameters() -> None:
    with pytest.raises(InvalidRequirement) as bad:
        read_requirement("&".join(f"x{number}=1" for number in range(5000)))
    assert len(str(bad.value.errors)) < 200


@pytest.mark.parametrize("header", [None, "", "Basic dXNlcjpwYXNz", "Token x", "APIKey"])
def test_nobody_is_asked_for_credentials(header: str | None) -> None:
    answer = ask(header)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith('APIKey realm="permatoken"')
    assert answer.json()["code"] in ("missing", "malformed")


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "pair", [("", "{token}"), ("apikey", "{token}"), ("ü@x", "{token}"), ("{token}", "")]
)
@pytest.mark.parametrize("separator", ["$", "_"])
def test_token_may_come_in_basic(
    key: Key, pair: tuple[str, str], separator: keys.Separator
) -> None:
    name, password = (part.replace("{token}", key.spell(separator)) for part in pair)
    assert ask(basic(name, password))["X-Auth-Token-Id"] == str(key.id)
    assert ask(basic(name, password).replace("Basic", "bASIC")).status_code == 200


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (basic("user", "pass"), "missing"),
        (basic("", ""), "missing"),
        (basic("{token}", "{token}"), "malformed"),
        (basic("{token}", "x"), "malformed"),
        (basic("x", "{cut}"), "malformed"),
        (basic("x", "{token} "), "malformed"),
        (basic("x:", "{token}"), "missing"),
        (basic("x", "verifier_{token}"), "missing"),
        ("Basic {token}", "malformed"),
        ("Basic", "missing"),
    ],
)
def test_basic_that_is_not_clear_opens_nothing(key: Key, header: str, code: str) -> None:
    encoded = header.partition(" ")[2]
    if header.startswith("Basic ") and "{" not in header:
        pair = base64.b64decode(encoded).decode()
        pair = pair.replace("{token}", key.spell()).replace("{cut}", key.spell()[:-1])
        header = "Basic " + base64.b64encode(pair.encode()).decode()
    answer = ask(header.replace("{token}", key.spell()))
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_name_beside_the_token_may_have_any_bytes(key: Key) -> None:
    pair = "müller:".encode("latin-1") + key.spell().encode()
    assert ask("Basic " + base64.b64encode(pair).decode()).status_code == 200


@pytest.mark.parametrize("between", ["\t", " \t", "\t "])
def test_tab_may_stand_before_the_token(key: Key, between: str) -> None:
    assert ask(f"APIKey{between}{key.spell()}").status_code == 200


def test_basic_is_for_proxies_alone(key: Key) -> None:
    """Browsers send it by themselves."""
    headers = {"Authorization": basic("", key.spell())}
    assert Client().get("/iam/users/me", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "APIKey {token}\xe2\x80\x8b",
        "APIKey {token}\xef\xbb\xbf",
        "APIKey {token}\xc2\xa0",
        "APIKey {token}\xa0",
        "APIKey {token}\x1f",
        "APIKey \xe2\x80\x8b{token}",
        "\xef\xbb\xbfAPIKey {token}",
        "APIKey\xa0{token}",
    ],
)
def test_token_with_an_invisible_character_is_malformed(key: Key, header: str) -> None:
    """granian hands a header that is not ASCII on as an empty one."""
    answer = ask(header.replace("{token}", key.spell()))
    assert (answer.status_code, answer.json()["code"]) == (401, "malformed")


@pytest.mark.parametrize(
    "header",
    [
        "APIKey {token},APIKey {token}",
        "APIKey {token}, Basic x",
        "APIKey {token}\0",
        "APIKey {token}é",
        "APIKey {token}\r\n x",
        "APIKey " + "1" * 1_000_000,
        "APIKey verifier_{token}",
        "Bearer {token}",
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        "{token}",
    ],
)
def test_odd_header_opens_nothing(key: Key, header: str) -> None:
    assert ask(header.replace("{token}", key.spell())).status_code == 401


def test_verifier_key_is_no_token(now: datetime) -> None:
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=now).key
    for text in (verifier.spell("_"), verifier.spell("_").removeprefix(keys.VERIFIER)):
        answer = ask(f"APIKey {text}")
        assert (answer.status_code, answer.json()["code"]) == (401, "malformed")


def test_unknown_and_wrong_are_told_alike(key: Key) -> None:
    wrong, missing = Key(key.id, "0" * 64), keys.make(771_142_358)
    answers = [ask(f"APIKey {each.spell()}") for each in (wrong, missing)]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert answers[0].headers == answers[1].headers
    assert answers[0].json() == {
        "message": "Bad permanent token",
        "code": "unknown",
        "hint": "This API token doesn't exist.",
    }


@pytest.mark.parametrize("code", ["expired", "deleted", "issuer_inactive"])
def test_reason_is_told_to_the_holder_and_named_in_the_challenge(
    engineer: Membership, key: Key, now: datetime, code: str
) -> None:
    token = APIToken.objects.get(pk=key.id)
    if code == "expired":
        APIToken.objects.filter(pk=key.id).update(
            created_at=now - timedelta(days=2), expires_at=now - timedelta(days=1)
        )
    elif code == "deleted":
        token_services.delete(token=token, by=Actor.member(engineer), at=now)
    else:
        people.deactivate_user(user=engineer.user, by=OPERATOR, at=now)

    answer = ask(f"APIKey {key.spell()}")

    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer["WWW-Authenticate"] == f'APIKey realm="permatoken", error="{code}"'


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "CONNECT", "X"]
)
def test_methods_are_alike(key: Key, method: str) -> None:
    good, bad = ask(f"APIKey {key.spell()}", method=method), ask("APIKey x", method=method)
    assert (good.status_code, good["X-Auth-Token-Id"]) == (200, str(key.id))
    assert (bad.status_code, bad.json()["code"]) == (401, "malformed")


def test_preflight_without_a_token_is_refused() -> None:
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    answer = Client().generic("OPTIONS", VERIFY, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "missing")


def test_body_is_not_looked_at(key: Key) -> None:
    answer = Client().post(
        VERIFY,
        data=b"{",
        content_type="application/json",
        headers={"Authorization": f"APIKey {key.spell()}"},
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("length", [262_145, 10_000_000_000])
def test_length_of_the_body_does_not_matter(key: Key, length: int) -> None:
    """A proxy may hand on the length of the body that it keeps to itself."""
    answer = Client().generic(
        "POST",
        VERIFY,
        headers={"Authorization": f"APIKey {key.spell()}"},
        CONTENT_LENGTH=str(length),
    )
    assert answer.status_code == 200


def test_short_lived_token_leaves_no_header_for_the_client_to_fill(
    user: Membership, now: datetime
) -> None:
    by = Actor(through=EntryPoint.API, user=user.user)
    access = token_families.begin(membership=user, by=by, at=now).access
    answer = ask(f"Bearer {access}")
    assert (answer.status_code, answer["X-Auth-Token-Id"]) == (200, "")
    assert answer["X-Auth-User-Id"] == str(user.user_id)


def test_code_of_a_refusal_is_in_a_header_too(engineer: Membership, key: Key) -> None:
    answers = {
        "missing": ask(None),
        "malformed": ask("APIKey x"),
        "unknown": ask(f"APIKey {keys.make(771_142_358).spell()}"),
        "role_too_low": ask(f"APIKey {key.spell()}", {"role": 1}),
        "wrong_account": ask(f"APIKey {key.spell()}", {"account": 999_999}),
    }
    assert {code: answer["X-Auth-Error"] for code, answer in answers.items()} == {
        code: code for code in answers
    }
    assert "X-Auth-Error" not in ask(f"APIKey {key.spell()}").headers


def test_address_with_other_alphabets_fits_into_a_header(engineer: Membership, key: Key) -> None:
    type(engineer.user).objects.filter(pk=engineer.user_id).update(email="m@münchen.example")
    assert ask(f"APIKey {key.spell()}")["X-Auth-User-Email"].isascii()


@pytest.mark.parametrize("host", ["shop.example", "shop.example:8443", "", "[", "a b", "\xff"])
def test_proxy_may_ask_under_the_name_of_any_site(key: Key, host: str) -> None:
    headers = {"Authorization": f"APIKey {key.spell()}", "Host": host}
    assert Client().get(VERIFY, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/iam/auth/verify/", "/iam/auth/introspect", "/iam/users/me"])
def test_host_that_is_not_ours_is_refused_elsewhere(key: Key, path: str) -> None:
    headers = {"Authorization": f"APIKey {key.spell()}", "Host": "evil.example"}
    assert Client().get(path, headers=headers).status_code == 400


def test_answer_starts_no_session_and_sets_no_cookie(key: Key) -> None:
    answer = ask(f"APIKey {key.spell()}")
    assert not answer.cookies
    assert "Vary" not in answer.headers
