"""Whatever arrives at the REST API: a clear refusal, nothing changed, and never a fault of ours."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from tests.conftest import Api, Issue

pytestmark = pytest.mark.django_db

NEW: dict[str, Any] = {"name": "CI", "exp_date": None, "client_user": {"role": {"id": 2}}}
KIND = "application/json"


@pytest.fixture
def url(administrator: Membership) -> str:
    return f"/iam/clients/{administrator.account_id}/tokens"


@pytest.fixture
def caller(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    """A client that may do everything, and that raises every fault of ours."""
    client = api(issue(administrator, role=Role.ADMINISTRATORS).key)
    client.raise_request_exception = True
    return client


@pytest.fixture(autouse=True)
def nothing_changes(request: pytest.FixtureRequest, caller: APIClient) -> Any:
    """Every test of this file leaves the one token of the caller, and it alone."""
    yield
    assert APIToken.objects.count() == 1
    assert not APIToken.objects.deleted().exists()


def refused(answer: Any) -> dict[str, Any]:
    """The errors of an answer that is a proper 400."""
    assert answer.status_code == 400, answer.content
    told = json.loads(answer.content)
    assert told["message"]
    assert "Traceback" not in answer.content.decode()
    return dict(told["errors"])


def post(caller: APIClient, url: str, **changes: Any) -> Any:
    """Everything beyond ASCII travels as an escape, as it may in JSON."""
    return send(caller, url, json.dumps({**NEW, **changes}).encode())


def send(caller: APIClient, url: str, body: bytes, kind: str = KIND) -> Any:
    """Post these very bytes."""
    return caller.post(url, data=body, content_type=kind)


NO_TEXT = [None, 5, 5.5, True, False, [], ["CI"], {}, {"a": "b"}]


@pytest.mark.both
@pytest.mark.parametrize("value", NO_TEXT)
def test_name_is_text(caller: APIClient, url: str, value: object) -> None:
    assert list(refused(post(caller, url, name=value))) == ["name"]


@pytest.mark.both
@pytest.mark.parametrize("value", NO_TEXT[1:])
def test_description_is_text(caller: APIClient, url: str, value: object) -> None:
    assert list(refused(post(caller, url, description=value))) == ["description"]


@pytest.mark.both
@pytest.mark.parametrize("value", ["", " ", "\n", "n" * 256, "n" * 200_000])
def test_name_has_one_to_255_characters(caller: APIClient, url: str, value: str) -> None:
    assert list(refused(post(caller, url, name=value))) == ["name"]


def test_description_has_at_most_2000_characters(caller: APIClient, url: str) -> None:
    assert list(refused(post(caller, url, description="d" * 2001))) == ["description"]


@pytest.mark.both
@pytest.mark.parametrize("field", ["name", "description"])
@pytest.mark.parametrize(
    "bad", ["\0", "\x01", "\x1b", "\x7f", "\x9f", "\ud800", "\u202e", "\u2066"]
)
def test_text_has_no_characters_that_disguise_or_break(
    caller: APIClient, url: str, field: str, bad: str
) -> None:
    assert list(refused(post(caller, url, **{field: f"a{bad}b"}))) == [field]


@pytest.mark.both
@pytest.mark.parametrize(
    "value",
    [
        "",
        "tomorrow",
        "never",
        "2090-02-31T00:00:00Z",
        "2090-13-01T00:00:00Z",
        "2090-01-01T25:00:00Z",
        "2090-01-01T00:00:00+25:00",
        "10000-01-01T00:00:00Z",
        "99999999999999999999",
        "2090-01-01T00:00:00Z; DROP TABLE",
        "2090-01-01T00:00:00\0",
        "٢٠٩٠-01-01T00:00:00Z",
        "\ud800",
        "2" * 100_000,
        0,
        4102444800,
        1e308,
        True,
        False,
        [],
        ["2090-01-01T00:00:00Z"],
        {},
        {"date": "2090-01-01"},
    ],
)
def test_expiration_is_an_instant(caller: APIClient, url: str, value: object) -> None:
    assert list(refused(post(caller, url, exp_date=value))) == ["exp_date"]


@pytest.mark.both
@pytest.mark.parametrize(
    "value",
    [
        "2020-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "2400-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59.999999-23:59",
    ],
)
def test_expiration_is_neither_past_nor_absurdly_far(
    caller: APIClient, url: str, value: str
) -> None:
    assert list(refused(post(caller, url, exp_date=value))) == ["exp_date"]


@pytest.mark.parametrize("value", [None, 5, True, "x", "Users", [], [{"role": {"id": 2}}]])
def test_client_user_is_an_object(caller: APIClient, url: str, value: object) -> None:
    assert list(refused(post(caller, url, client_user=value))) == ["client_user"]


@pytest.mark.both
@pytest.mark.parametrize(
    "role",
    [
        None,
        5,
        True,
        "\0",
        "\ud800",
        [],
        {},
        {"id": None},
        {"id": -1},
        {"id": 99999999999999999999},
        {"id": 10**4000},
        {"id": 1e308},
        {"id": "٢"},
        {"id": "\ud800"},
        {"id": {"id": 2}},
        {"name": "\0"},
        {"name": "\ud800"},
        {"name": "users"},
        {"name": "N" * 200_000},
        {"name": ["Users"]},
        {"name": "<script>alert(1)</script>"},
        {"title": "Users"},
    ],
)
def test_role_is_one_of_the_five(caller: APIClient, url: str, role: object) -> None:
    errors = refused(post(caller, url, client_user={"role": role}))
    assert list(errors) == ["client_user"]
    assert list(errors["client_user"]) == ["role"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"}",
        b"nonsense",
        b"'name'",
        b'{"name": "CI"',
        b'{"name": "CI",}',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b"\xff\xfe\x00",
        b'{"name": "\xff"}',
        b'{"name": "\xc3\x28"}',
        b"\0",
        b'{"name": "a\0b"}',
        b"[" * 100_000,
        b'{"a":' * 40_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 5000,
        b'{"name": ' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b'{"name": "CI", "exp_date": "2027-01-01", "exp_date": null, "client_user": {}}',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_body_that_is_no_json_is_refused(caller: APIClient, url: str, body: bytes) -> None:
    assert refused(send(caller, url, body))


@pytest.mark.parametrize("body", [b"null", b"[]", b'["CI"]', b'"CI"', b"5", b"true", b"1e999"])
def test_body_that_is_no_object_is_refused(caller: APIClient, url: str, body: bytes) -> None:
    assert list(refused(send(caller, url, body))) == ["errors"]


@pytest.mark.parametrize("body", [b"", b" ", b"\n\t", b"{}"])
def test_empty_body_lacks_everything(caller: APIClient, url: str, body: bytes) -> None:
    errors = refused(send(caller, url, body))
    assert set(errors) == {"name", "exp_date", "client_user"}


@pytest.mark.parametrize("size", [256 * 1024 + 1, 1024 * 1024, 5 * 1024 * 1024])
def test_huge_body_is_refused_by_its_size(caller: APIClient, url: str, size: int) -> None:
    body = json.dumps({**NEW, "description": "d" * size}).encode()
    answer = send(caller, url, body)
    assert (answer.status_code, answer.json()) == (413, {"message": "The body is too large."})


@pytest.mark.parametrize(
    "charset", ["latin-1", "utf-16", "utf-7", "rot13", "hex", "zlib", "bz2", "base64", "idna", "x"]
)
def test_charset_of_a_body_opens_nothing(caller: APIClient, url: str, charset: str) -> None:
    kind = f"{KIND}; charset={charset}"
    body = json.dumps({**NEW, "name": ""}).encode()
    assert refused(send(caller, url, body, kind))


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "x",
        "/",
    ],
)
def test_body_of_another_kind_is_told_to_be_unsupported(
    caller: APIClient, url: str, kind: str
) -> None:
    answer = send(caller, url, b"name=CI&exp_date=", kind)
    assert answer.status_code == 415
    assert "Unsupported media type" in answer.json()["message"]


@pytest.mark.both
@pytest.mark.parametrize("query", ["%FF=%FF", "role=%00", "role=%ED%A0%80", "&&&", "a" * 5000, "%"])
def test_broken_query_is_no_fault_of_ours(caller: APIClient, url: str, query: str) -> None:
    assert caller.get(f"{url}?{query}").status_code in (200, 400)


@pytest.mark.parametrize("query", ["&".join(f"a{n}=1" for n in range(1001)), "role=1&" * 2000])
def test_query_of_thousands_of_parts_is_refused(caller: APIClient, url: str, query: str) -> None:
    answer = caller.get(f"{url}?{query}")
    assert (answer.status_code, answer.json()) == (
        400,
        {"message": "We couldn't understand the request."},
    )


@pytest.mark.both
@pytest.mark.parametrize(
    "token_id",
    ["x", "-1", "1.5", "1e3", "%00", "1%2F2", "٣", "1;", "9" * 5000, "'", "<b>", "%ED%A0%80"],
)
@pytest.mark.parametrize("method", ["get", "delete"])
def test_token_id_that_is_none_is_not_found(
    caller: APIClient, url: str, token_id: str, method: str
) -> None:
    answer = getattr(caller, method)(f"{url}/{token_id}")
    assert answer.status_code == 404
    assert answer.json()["message"].endswith("ot found.")


@pytest.mark.parametrize("accept", ["text/html", "x", "application/xml;q=0.1", "*/*;q=x", "\0"])
def test_answer_is_json_or_a_clear_refusal_whatever_is_accepted(
    caller: APIClient, url: str, accept: str
) -> None:
    answer = caller.get(url, headers={"Accept": accept})
    assert answer.status_code in (200, 406)
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("query", ["format=xml", "format=api", "format=json"])
def test_format_of_the_query_is_no_fault_of_ours(caller: APIClient, url: str, query: str) -> None:
    assert caller.get(f"{url}?{query}").status_code in (200, 404)


def test_markup_in_errors_stays_text(caller: APIClient, url: str) -> None:
    answer = post(caller, url, client_user={"role": {"name": "<script>"}})
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Content-Type-Options"] == "nosniff"
