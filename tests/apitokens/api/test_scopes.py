"""Scopes by the API: at its own calls, at verification and at introspection."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import get_resolver
from django.utils.translation import override
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, Membership
from accounts.roles import Role
from apitokens.keys import Key
from apitokens.models import APIToken, Service
from apitokens.scopes.services import ScopeFacts, register
from apitokens.tokens import editing
from apitokens.verification.verifier_keys import issue_verifier
from tests.conftest import Issue
from tests.factories import AccountFactory, MembershipFactory

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
VERIFY, INTROSPECT = "/iam/auth/verify", "/iam/auth/introspect"


@pytest.fixture
def cdn(account: Account, now: datetime) -> Service:
    return _service("cdn", account, now)


def _service(code: str, account: Account | None, now: datetime) -> Service:
    scopes = [ScopeFacts("purge", "Purge"), ScopeFacts("read", "Read")]
    return register(
        account=account, code=code, name="A service", scopes=scopes, by=OPERATOR, at=now
    )


def as_token(key: Key) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"APIKey {key.spell()}")
    return client


def verify(key: Key, query: str = "") -> Any:
    return Client().get(f"{VERIFY}{query}", headers={"Authorization": f"APIKey {key.spell()}"})


def introspect(key: Key, caller: Key) -> Any:
    header = {"Authorization": f"Bearer {caller.spell('_')}"}
    asked = {"token": key.spell()}
    form = "application/x-www-form-urlencoded"
    return Client().post(INTROSPECT, urlencode(asked), form, headers=header).json()


CALLS = [
    ("get", "/iam/clients/{account}/tokens", "tokens:read"),
    ("get", "/iam/clients/{account}/tokens/{token}", "tokens:read"),
    ("get", "/iam/v2/clients/{account}/tokens", "tokens:read"),
    ("post", "/iam/clients/{account}/tokens", "tokens:write"),
    ("post", "/iam/v2/clients/{account}/tokens", "tokens:write"),
    ("patch", "/iam/clients/{account}/tokens/{token}", "tokens:write"),
    ("delete", "/iam/clients/{account}/tokens/{token}", "tokens:write"),
    ("post", "/iam/clients/{account}/tokens/{token}/rotate", "tokens:write"),
    ("delete", "/iam/clients/{account}/tokens/{token}/old_secret", "tokens:write"),
    ("post", "/iam/clients/{account}/tokens/hand_over", "tokens:write"),
    ("post", "/iam/clients/{account}/tokens/delete", "tokens:write"),
    ("post", "/iam/v2/clients/{account}/tokens/delete", "tokens:write"),
    ("get", "/iam/clients/{account}/tokens/export.csv", "tokens:read"),
    ("get", "/iam/v2/clients/{account}/tokens/export.csv", "tokens:read"),
    ("post", "/iam/clients/{account}/tokens/look_up", "tokens:read"),
    ("post", "/iam/v2/clients/{account}/tokens/look_up", "tokens:read"),
    ("get", "/iam/clients/{account}/services", "tokens:read"),
    ("post", "/iam/clients/{account}/services", "tokens:write"),
    ("put", "/iam/clients/{account}/services/cdn", "tokens:write"),
    ("delete", "/iam/clients/{account}/services/cdn", "tokens:write"),
    ("get", "/iam/clients/me", "users:read"),
    ("get", "/iam/users", "users:read"),
    ("get", "/iam/users/me", "users:read"),
    ("get", "/iam/users/{user}", "users:read"),
    ("patch", "/iam/users/{user}", "users:write"),
    ("post", "/iam/clients/invite_user", "users:write"),
    ("get", "/iam/clients/{account}/client-users/{user}", "users:read"),
    ("put", "/iam/clients/{account}/client-users/{user}", "users:write"),
    ("delete", "/iam/clients/{account}/client-users/{user}", "users:write"),
    ("get", "/iam/clients/{account}/service_accounts", "users:read"),
    ("post", "/iam/clients/{account}/service_accounts", "users:write"),
    ("get", "/iam/clients/{account}/service_accounts/1", "users:read"),
    ("patch", "/iam/clients/{account}/service_accounts/1", "users:write"),
    ("delete", "/iam/clients/{account}/service_accounts/1", "users:write"),
    ("get", "/iam/activity_log/logins", "audit:read"),
]
OWN = ["tokens:read", "tokens:write", "users:read", "users:write", "audit:read"]


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_every_call_needs_its_scope(
    administrator: Membership, issue: Issue, method: str, path: str, scope: str
) -> None:
    others = [each for each in OWN if each != scope]
    for scopes, is_enough in ((others, False), ([scope], True)):
        token, key = issue(administrator, role=Role.ADMINISTRATORS, scopes=scopes)
        address = path.format(
            account=administrator.account_id, token=token.pk, user=administrator.user_id
        )
        answer = getattr(as_token(key), method)(address, {}, format="json")
        is_missing = answer.status_code == 403 and answer.json().get("code") == "scope_missing"
        assert is_missing is not is_enough, (method, path)
        if is_missing:
            assert scope in answer.json()["hint"]
            assert answer.json()["scope"] == scope


def own_calls(module: str) -> list[Any]:
    return list(get_resolver(module).url_patterns)


def test_every_call_of_the_api_is_among_those_that_need_one() -> None:
    """A new one is refused to limited tokens until it says what it is a part of."""
    for pattern in own_calls("apitokens.api.urls"):
        view = getattr(pattern.callback, "cls", None)
        assert view is None or view.part_of_api == "tokens"
    for pattern in own_calls("accounts.api.urls"):
        part = getattr(pattern.callback.cls, "part_of_api", None)
        is_signing_in = "auth/jwt" in str(pattern.pattern)
        assert is_signing_in or part in ("users", "audit"), pattern


def test_service_is_registered_edited_and_removed(administrator: Membership, issue: Issue) -> None:
    client = as_token(issue(administrator, role=Role.ADMINISTRATORS).key)
    address = f"/iam/clients/{administrator.account_id}/services"
    read = {"code": "read", "name": "Read", "names": {"de": "Lesen"}}
    purge: dict[str, Any] = {"code": "purge", "name": "Purge", "names": {}}
    made = client.post(address, {"code": "cdn", "name": "CDN", "scopes": [purge]}, format="json")
    facts = {"code": "cdn", "name": "CDN", "names": {}, "scopes": [purge], "shared": False}
    assert made.json() == facts
    edited = client.put(f"{address}/cdn", {"name": "X", "scopes": [read, purge]}, format="json")
    assert [each["code"] for each in edited.json()["scopes"]] == ["purge", "read"]
    assert client.get(address).json() == [edited.json()]
    token = issue(administrator, scopes=["cdn:purge"]).token
    refused = client.delete(f"{address}/cdn")
    assert (refused.status_code, token.name in refused.content.decode()) == (400, True)
    editing.edit(token=token, changes={"scopes": ["cdn:read"]}, by=OPERATOR, at=token.created_at)
    answer = client.put(f"{address}/cdn", {"name": "X", "scopes": [read]}, format="json")
    assert [each["code"] for each in answer.json()["scopes"]] == ["read"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"code": "tokens", "name": "X", "scopes": [{"code": "a", "name": "A"}]},
        {"code": "C D", "name": "X", "scopes": [{"code": "a", "name": "A"}]},
        {"code": "x", "name": "X", "scopes": []},
        {"code": "x", "name": "X", "scopes": "a"},
        {"code": "x", "name": "X", "scopes": [1]},
        {"code": "x", "name": "X", "scopes": [{"code": "A", "name": "A"}]},
        {"code": "x", "name": "X", "scopes": [{"code": "a", "name": "A"}] * 2},
    ],
)
def test_service_that_is_none_is_refused(
    administrator: Membership, issue: Issue, asked: dict[str, Any]
) -> None:
    client = as_token(issue(administrator, role=Role.ADMINISTRATORS).key)
    address = f"/iam/clients/{administrator.account_id}/services"
    assert client.post(address, asked, format="json").status_code == 400
    assert not Service.objects.exists()


def test_names_in_other_languages_are_set_and_kept(administrator: Membership, issue: Issue) -> None:
    client = as_token(issue(administrator, role=Role.ADMINISTRATORS).key)
    address = f"/iam/clients/{administrator.account_id}/services"
    purge: dict[str, Any] = {"code": "purge", "name": "Purge", "names": {"zh": "清除"}}
    asked = {"code": "cdn", "name": "CDN", "names": {"de": "Auslieferung"}, "scopes": [purge]}
    made = client.post(address, asked, format="json")
    assert made.json() == {**asked, "shared": False}
    with override("zh-hans"):
        assert Service.objects.get().scopes.get().label == "清除"
    short = {"name": "CDN", "scopes": [{"code": "purge", "name": "Purge all"}]}
    edited = client.put(f"{address}/cdn", short, format="json").json()
    assert (edited["names"], edited["scopes"][0]["names"]) == (asked["names"], purge["names"])
    none = {"name": "CDN", "names": {}, "scopes": [{**purge, "names": {}}]}
    edited = client.put(f"{address}/cdn", none, format="json").json()
    assert (edited["names"], edited["scopes"][0]["names"]) == ({}, {})


@pytest.mark.parametrize(
    "names",
    [
        *([], "de", None, {"de": ""}, {"de": 5}, {"de": "two\nlines"}, {"de": "x" * 101}),
        *({"fr": "Livraison"}, {"zh-hans": "分发"}, {"\ud800": "x"}),
    ],
)
def test_names_that_are_none_are_refused(
    administrator: Membership, issue: Issue, names: Any
) -> None:
    client = as_token(issue(administrator, role=Role.ADMINISTRATORS).key)
    address = f"/iam/clients/{administrator.account_id}/services"
    scope = {"code": "a", "name": "A"}
    for field, asked in {
        "names": {"code": "x", "name": "X", "names": names, "scopes": [scope]},
        "scopes": {"code": "x", "name": "X", "scopes": [{**scope, "names": names}]},
    }.items():
        answer = client.post(address, json.dumps(asked), content_type="application/json")
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == [field]
    assert not Service.objects.exists()


def test_service_of_all_accounts_is_shown_and_stays(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    _service("video", None, now)
    client = as_token(issue(administrator, role=Role.ADMINISTRATORS).key)
    address = f"/iam/clients/{administrator.account_id}/services"
    assert [each["shared"] for each in client.get(address).json()] == [True]
    assert client.delete(f"{address}/video").status_code == 404


def test_limited_token_signs_in_to_no_other_account(
    administrator: Membership, issue: Issue
) -> None:
    key = issue(administrator, scopes=OWN).key
    address = f"/iam/auth/jwt/clients/{administrator.account_id}/login"
    assert as_token(key).get(address).status_code == 403


@pytest.mark.parametrize("version", ["", "v2/"])
def test_token_is_created_edited_and_shown_with_scopes(
    administrator: Membership, issue: Issue, cdn: Service, version: str
) -> None:
    client = as_token(issue(administrator, role=Role.ADMINISTRATORS).key)
    address = f"/iam/{version}clients/{administrator.account_id}/tokens"
    asked: dict[str, Any] = {"name": "CI", "exp_date": None, "client_user": {}}
    asked["scopes"] = ["cdn:purge"]
    made = client.post(address, asked, format="json").json()
    assert made["scopes"] == ["cdn:purge"]
    one = f"{address}/{made['id']}"
    assert client.get(one).json()["scopes"] == ["cdn:purge"]
    assert client.patch(one, {"name": "X"}, format="json").json()["scopes"] == ["cdn:purge"]
    wanted = {"scopes": ["cdn:read", "tokens:read"]}
    assert client.patch(one, wanted, format="json").json()["scopes"] == ["cdn:read", "tokens:read"]
    assert client.patch(one, {"scopes": None}, format="json").json()["scopes"] is None


@pytest.mark.parametrize(
    "scopes", ["cdn:purge", {}, 1, True, [], [1], [None], [["cdn:purge"]], ["x"], ["a" * 60], [""]]
)
def test_what_is_no_list_of_scopes_is_refused(
    administrator: Membership, issue: Issue, cdn: Service, scopes: Any
) -> None:
    client = as_token(issue(administrator, role=Role.ADMINISTRATORS).key)
    address = f"/iam/clients/{administrator.account_id}/tokens"
    asked: dict[str, Any] = {"name": "CI", "exp_date": None, "client_user": {}, "scopes": scopes}
    answer = client.post(address, asked, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["scopes"]
    assert APIToken.objects.count() == 1


def test_limited_token_gives_its_own_scopes_unless_told(
    administrator: Membership, issue: Issue
) -> None:
    client = as_token(issue(administrator, scopes=["tokens:read", "tokens:write"]).key)
    address = f"/iam/clients/{administrator.account_id}/tokens"
    asked: dict[str, Any] = {"name": "CI", "exp_date": None, "client_user": {}}
    made = client.post(address, asked, format="json").json()
    assert made["scopes"] == ["tokens:read", "tokens:write"]
    answer = client.post(address, asked | {"scopes": None}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["scopes"])


def test_header_says_what_a_token_is_limited_to(
    engineer: Membership, issue: Issue, cdn: Service
) -> None:
    assert verify(issue(engineer).key)["X-Auth-Scopes"] == "*"
    limited = issue(engineer, scopes=["cdn:read", "cdn:purge"]).key
    assert verify(limited)["X-Auth-Scopes"] == "cdn:purge cdn:read"


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ("?scope=cdn:purge", ""),
        ("?scope=cdn:purge&scope=tokens:read", ""),
        ("?scope=cdn:purge%20tokens:read", ""),
        ("?scope=cdn:purge+tokens:read&role=Users", ""),
        ("?scope=cdn:read", "cdn:read"),
        ("?scope=cdn:purge&scope=cdn:read", "cdn:read"),
        ("?scope=video:read", "video:read"),
        ("?scope=cdn:pur", "cdn:pur"),
    ],
)
def test_all_scopes_of_the_question_are_needed(
    engineer: Membership, issue: Issue, cdn: Service, query: str, missing: str
) -> None:
    answer = verify(issue(engineer, scopes=["cdn:purge", "tokens:read"]).key, query)
    assert answer.status_code == (403 if missing else 200)
    if missing:
        assert answer["X-Auth-Error"] == answer.json()["code"] == "scope_missing"
        assert answer.json()["scope"] == missing
        assert missing in answer.json()["hint"]
        assert f'scope="{missing}"' in answer["WWW-Authenticate"]
    assert verify(issue(engineer).key, query).status_code == 200


@pytest.mark.parametrize(
    "query", ["?scope=", "?scope=cdn", "?scope=a:b++c:d", "?scopes=a:b", "?scope=A:b"]
)
def test_question_that_is_no_scope_lets_nobody_in(
    engineer: Membership, issue: Issue, query: str
) -> None:
    answer = verify(issue(engineer).key, query)
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1)


def test_introspection_has_the_standard_member(
    engineer: Membership, issue: Issue, cdn: Service, now: datetime
) -> None:
    caller = issue_verifier(name="All", by=OPERATOR, at=now).key
    limited = issue(engineer, scopes=["cdn:purge", "tokens:read"]).key
    assert introspect(limited, caller)["scope"] == "cdn:purge tokens:read"
    assert "scope" not in introspect(issue(engineer).key, caller)


@pytest.fixture
def strangers(now: datetime) -> Membership:
    """An Engineer of another account, which has a service of the same name."""
    stranger = MembershipFactory.create(account=AccountFactory.create(), role=Role.ENGINEERS)
    _service("cdn", stranger.account, now)
    return stranger


def test_bound_key_sees_tokens_and_scopes_of_its_service_only(
    engineer: Membership, strangers: Membership, issue: Issue, cdn: Service, now: datetime
) -> None:
    caller = issue_verifier(name="Edge", service=cdn, by=OPERATOR, at=now).key
    limited = issue(engineer, scopes=["cdn:purge", "cdn:read", "tokens:read"]).key
    assert introspect(limited, caller)["scope"] == "cdn:purge cdn:read"
    assert introspect(issue(engineer).key, caller)["active"] is True
    for unseen in (
        issue(engineer, scopes=["tokens:read"]),
        issue(strangers),
        issue(strangers, scopes=["cdn:purge"]),
    ):
        assert introspect(unseen.key, caller) == {"active": False}


def test_key_bound_to_a_service_of_all_accounts_sees_all_accounts(
    engineer: Membership, strangers: Membership, issue: Issue, now: datetime
) -> None:
    video = _service("video", None, now)
    caller = issue_verifier(name="Video", service=video, by=OPERATOR, at=now).key
    for member in (engineer, strangers):
        assert introspect(issue(member, scopes=["video:read"]).key, caller)["active"] is True
    assert introspect(issue(strangers, scopes=["cdn:read"]).key, caller) == {"active": False}


def test_batch_is_answered_as_each_token_alone(
    engineer: Membership, issue: Issue, cdn: Service, now: datetime
) -> None:
    caller = issue_verifier(name="Edge", service=cdn, by=OPERATOR, at=now).key
    made = [issue(engineer, scopes=["cdn:purge"]), issue(engineer, scopes=["tokens:read"])]
    answer = Client().post(
        f"{INTROSPECT}/batch",
        [each.key.spell() for each in made],
        content_type="application/json",
        headers={"Authorization": f"Bearer {caller.spell('_')}"},
    )
    assert answer.json() == [introspect(each.key, caller) for each in made]


def test_change_of_scopes_is_in_force_when_it_is_answered(
    engineer: Membership, issue: Issue, cdn: Service, now: datetime
) -> None:
    token, key = issue(engineer, scopes=["cdn:purge"])
    assert verify(key, "?scope=cdn:purge").status_code == 200
    editing.edit(token=token, changes={"scopes": ["cdn:read"]}, by=OPERATOR, at=now)
    assert verify(key, "?scope=cdn:purge").status_code == 403


def test_damaged_row_allows_nothing(engineer: Membership, issue: Issue) -> None:
    token, key = issue(engineer)
    APIToken.objects.filter(pk=token.pk).update(scopes="")
    assert verify(key, "?scope=cdn:purge").status_code == 403
    assert verify(key)["X-Auth-Scopes"] == ""
