"""Whatever arrives at the calls about people: a clear refusal, and nothing has changed."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Invitation, Membership, TokenFamily, User
from tests.accounts.api.conftest import InPerson

pytestmark = pytest.mark.django_db

NO_TEXT: list[Any] = [5, 5.5, True, False, [], ["x"], {}, {"a": "b"}]
BAD_CHARACTERS = ["\0", "\x01", "\x1b", "\x7f", "\x9f", "\ud800", "\u202e", "\u2066", "\n"]
NO_NAMES: list[Any] = [*NO_TEXT, "n" * 151, *(f"a{each}b" for each in BAD_CHARACTERS)]
NO_ROLES: list[Any] = [
    None,
    5,
    "Users",
    [],
    {},
    {"id": None},
    {"id": 7},
    {"id": 10**4000},
    {"id": True},
    {"id": [2]},
    {"name": "users"},
    {"name": "\0"},
    {"name": "\ud800"},
    {"id": 1, "name": "Users"},
]
NO_OBJECTS = [
    b"{",
    b"nonsense",
    b"null",
    b"5",
    b'"x"',
    b"[]",
    b"[{}]",
    b"\xff\xfe\0",
    b"\0",
    b"[" * 100_000,
    b'{"a":' * 40_000,
    b'{"email": NaN}',
]
NO_EMAILS = [
    "",
    " ",
    "x",
    "@",
    "a@",
    "@b.example",
    "a b@example.net",
    "a@b@example.net",
    "new@example.net\0",
    "new@example.net\nBcc: all@example.net",
    "new\ud800@example.net",
    "nеw@example.net",
    "new@exämple.net",
    "ｎew@example.net",
    "new@example.net, second@example.net",
    "<new@example.net>",
    "n" * 250 + "@example.net",
]


@pytest.fixture
def caller(administrator: Membership, in_person: InPerson) -> APIClient:
    """A client that may do everything; every fault of the portal is raised."""
    client = in_person(administrator)
    client.raise_request_exception = True
    return client


@pytest.fixture(autouse=True)
def nothing_changes(caller: APIClient, administrator: Membership, user: Membership) -> Any:
    """Every test of this file leaves the people as they were."""

    def people() -> tuple[Any, Any]:
        return [*Membership.objects.order_by("pk").values()], [
            {**each, "last_login": None} for each in User.objects.order_by("pk").values()
        ]

    before = people()
    yield
    assert people() == before
    assert not Invitation.objects.exists()


def refused(answer: Any) -> dict[str, Any]:
    """The errors of an answer that is a proper 400."""
    assert answer.status_code == 400, answer.content
    told = json.loads(answer.content)
    assert told["message"]
    assert "Traceback" not in answer.content.decode()
    return dict(told["errors"])


def send(client: APIClient, method: str, url: str, body: Any) -> Any:
    """These very bytes, or this as JSON: what is beyond ASCII travels as an escape."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    call: Any = client.generic  # takes bytes, whatever the stubs say
    return call(method.upper(), url, data, content_type="application/json")


# --- Invitations -------------------------------------------------------------------------------


def invite(caller: APIClient, member: Membership, **changes: Any) -> Any:
    asked = {
        "client_id": member.account_id,
        "email": "new@example.net",
        "user_role": {"id": 2},
        **changes,
    }
    return send(caller, "post", "/iam/clients/invite_user", asked)


@pytest.mark.both
@pytest.mark.parametrize("email", [*NO_TEXT, None, *NO_EMAILS])
def test_invitation_goes_to_an_address(
    caller: APIClient, administrator: Membership, email: Any
) -> None:
    assert list(refused(invite(caller, administrator, email=email))) == ["email"]


@pytest.mark.both
@pytest.mark.parametrize("role", NO_ROLES)
def test_invitation_has_a_role(caller: APIClient, administrator: Membership, role: Any) -> None:
    assert list(refused(invite(caller, administrator, user_role=role))) == ["user_role"]


@pytest.mark.parametrize(
    "lang", [None, "", "xx", "EN", "en-GB", 5, [], {}, "\ud800", "e" * 100_000]
)
def test_invitation_is_in_a_language_of_the_portal(
    caller: APIClient, administrator: Membership, lang: Any
) -> None:
    assert list(refused(invite(caller, administrator, lang=lang))) == ["lang"]


@pytest.mark.both
@pytest.mark.parametrize("name", NO_NAMES)
def test_invitation_has_a_name_of_one_line(
    caller: APIClient, administrator: Membership, name: Any
) -> None:
    assert list(refused(invite(caller, administrator, name=name))) == ["name"]


@pytest.mark.both
@pytest.mark.parametrize("client_id", [None, "", "x", "1.5", 1.5, True, [], {}, "١"])
def test_invitation_is_to_an_account(
    caller: APIClient, administrator: Membership, client_id: Any
) -> None:
    answer = invite(caller, administrator, client_id=client_id)
    assert answer.status_code == 404 or list(refused(answer)) == ["client_id"]


@pytest.mark.parametrize("missing", ["client_id", "email", "user_role"])
def test_invitation_needs_all_of_these(
    caller: APIClient, administrator: Membership, missing: str
) -> None:
    asked = {
        "client_id": administrator.account_id,
        "email": "new@example.net",
        "user_role": {"id": 2},
    }
    del asked[missing]
    answer = send(caller, "post", "/iam/clients/invite_user", asked)
    assert refused(answer) == {missing: ["This field is required."]}


# --- The own profile ---------------------------------------------------------------------------

NO_PROFILE: dict[str, list[Any]] = {
    "name": NO_NAMES,
    "phone": [*NO_TEXT, "1" * 33, "call me", "１２３", "1;ext=2", "1\0"],
    "lang": [None, "", "xx", "EN", 5, [], {}, "\ud800"],
    "email": [*NO_TEXT, None, *NO_EMAILS],
    "auth_types": [None, "password", 5, {}, [], ["x"], [None], ["\ud800"], ["sso"], ["x"] * 1000],
}
PROFILE = [(field, value) for field, values in NO_PROFILE.items() for value in values]


@pytest.mark.both
@pytest.mark.parametrize(("field", "value"), PROFILE)
def test_profile_holds_nothing_that_makes_no_sense(
    caller: APIClient, administrator: Membership, field: str, value: Any
) -> None:
    answer = send(caller, "patch", f"/iam/users/{administrator.user_id}", {field: value})
    assert list(refused(answer)) == [field]


# --- Roles -------------------------------------------------------------------------------------


@pytest.mark.both
@pytest.mark.parametrize("role", NO_ROLES)
def test_role_is_one_of_the_five(caller: APIClient, user: Membership, role: Any) -> None:
    url = f"/iam/clients/{user.account_id}/client-users/{user.user_id}"
    assert list(refused(send(caller, "put", url, {"user_role": role}))) == ["user_role"]


# --- Signing in --------------------------------------------------------------------------------


def log_in(**changes: Any) -> Any:
    asked = {"username": "nobody@example.com", "password": "x", **changes}
    return send(APIClient(), "post", "/iam/auth/jwt/login", asked)


@pytest.mark.both
@pytest.mark.parametrize("value", [*NO_TEXT, None, "", "\0", "\ud800", "x" * 100_000])
@pytest.mark.parametrize("field", ["username", "password"])
def test_credentials_are_text(field: str, value: Any) -> None:
    families = TokenFamily.objects.count()
    assert list(refused(log_in(**{field: value}))) == [field]
    assert TokenFamily.objects.count() == families


@pytest.mark.both
@pytest.mark.parametrize("value", [*NO_TEXT, "\0", "\ud800", "0" * 65])
def test_code_is_text(value: Any) -> None:
    assert list(refused(log_in(one_time_password=value))) == ["one_time_password"]


@pytest.mark.both
@pytest.mark.parametrize("value", [*NO_TEXT, None, "", " ", "\0", "\ud800"])
@pytest.mark.parametrize("field", ["refresh", "token"])
def test_refresh_token_is_text(field: str, value: Any) -> None:
    answer = send(APIClient(), "post", "/iam/auth/jwt/refresh", {field: value})
    assert list(refused(answer)) == [field]


def test_refresh_token_is_wanted() -> None:
    answer = send(APIClient(), "post", "/iam/auth/jwt/refresh", {})
    assert refused(answer) == {"refresh": ["This field is required."]}


# --- Bodies and methods ------------------------------------------------------------------------

CALLS = [
    ("post", "/iam/clients/invite_user"),
    ("patch", "/iam/users/{user}"),
    ("put", "/iam/clients/{account}/client-users/{user}"),
    ("post", "/iam/auth/jwt/login"),
    ("post", "/iam/auth/jwt/refresh"),
]


def filled(url: str, member: Membership) -> str:
    return url.format(user=member.user_id, account=member.account_id)


@pytest.mark.parametrize("body", NO_OBJECTS)
@pytest.mark.parametrize(("method", "url"), CALLS)
def test_body_is_an_object(
    caller: APIClient, administrator: Membership, method: str, url: str, body: bytes
) -> None:
    refused(send(caller, method, filled(url, administrator), body))


@pytest.mark.parametrize(("method", "url"), CALLS)
def test_body_has_a_bounded_size(
    caller: APIClient, administrator: Membership, method: str, url: str
) -> None:
    answer = send(caller, method, filled(url, administrator), b" " * 300_000)
    assert answer.status_code == 413


@pytest.mark.parametrize(("method", "url"), CALLS)
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
)
def test_other_kinds_of_body_are_refused(
    caller: APIClient, administrator: Membership, method: str, url: str, kind: str
) -> None:
    call = getattr(caller, method)
    answer = call(filled(url, administrator), data=b"username=x", content_type=kind)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("get", "/iam/auth/jwt/login"),
        ("get", "/iam/auth/jwt/refresh"),
        ("post", "/iam/auth/jwt/clients/{account}/login"),
        ("get", "/iam/clients/invite_user"),
        ("post", "/iam/users"),
        ("delete", "/iam/users/{user}"),
        ("put", "/iam/users/{user}"),
        ("patch", "/iam/clients/{account}/client-users/{user}"),
        ("post", "/iam/activity_log/logins"),
    ],
)
def test_other_methods_are_refused(
    caller: APIClient, administrator: Membership, method: str, url: str
) -> None:
    answer = send(caller, method, filled(url, administrator), {})
    assert (answer.status_code, list(answer.json())) == (405, ["message"])


@pytest.mark.both
@pytest.mark.parametrize(
    "url",
    [
        "/iam/users/x",
        "/iam/users/-1",
        "/iam/users/1.5",
        "/iam/users/",
        "/iam/users/%00",
        "/iam/clients/x/client-users/5",
        "/iam/clients/1/client-users/x",
        "/iam/clients/1/client-users",
        "/iam/auth/jwt/clients/x/login",
        "/iam/auth/jwt/login/",
        "/iam/activity_log/logins/",
    ],
)
def test_address_that_is_none_is_told_in_json(caller: APIClient, url: str) -> None:
    answer = caller.get(url)
    assert (answer.status_code, answer.json()) == (404, {"message": "Not found."})


@pytest.mark.parametrize(
    ("method", "url"),
    [("get", "/iam/users"), ("get", "/iam/activity_log/logins"), *CALLS[:3]],
)
def test_call_without_credentials_is_refused_before_it_is_read(
    administrator: Membership, method: str, url: str
) -> None:
    answer = send(APIClient(), method, filled(url, administrator), b"nonsense")
    assert (answer.status_code, answer.json()) == (
        401,
        {"message": "Authentication credentials were not provided."},
    )
