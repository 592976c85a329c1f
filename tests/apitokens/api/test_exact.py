"""What the description says is taken is taken, and what it does not say is refused."""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from drf_spectacular.validation import validate_schema
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.api import serializers
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from accounts.service_accounts import services as service_accounts
from accounts.validators import validate_line, validate_paragraphs, validate_phone
from apitokens.api.introspect import FORM
from apitokens.scopes.services import ScopeFacts, register
from apitokens.verification.verifier_keys import issue_verifier
from tests.conftest import Api, Issue
from tests.described import Schema, description, resolved, validator
from tests.factories import ACCOUNT_ID, service_account

pytestmark = [pytest.mark.django_db]

VERIFY = "/iam/auth/verify"
WRONG_NAMES: list[Any] = [5, "5", True, 5.5, [], {}, ["Engineers"], "", "Users"]
WRONG_IDS: list[Any] = [True, 2.5, [], {}, "", "Users", " 2", "02"]
ROLES: list[Any] = [
    *({"id": role.value} for role in Role),
    *({"name": role.label} for role in Role),
    *({"id": str(role.value), "name": role.label} for role in Role),
    {"id": 5, "name": None},
    {"id": None, "name": "Users"},
    {"id": 2.0},
    {"id": 2, "name": "Users", "more": "is not looked at"},
    # Of a wrong type or meaning, beside one that would do.
    *({"id": 5, "name": name} for name in WRONG_NAMES),
    *({"id": number, "name": "Users"} for number in WRONG_IDS),
    *({"id": number} for number in (None, "Users", True, 7, "7", 2.5, -2, 10**30)),
    *({"name": name} for name in (None, 2, "2", True, "users", " Users")),
    {},
]
NO_OBJECTS: list[Any] = [None, 5, "Users", True, [], [{"id": 2}]]
IDS: list[Any] = [
    1,
    "1",
    1.0,
    1e15,
    1e17,
    1e22,
    1e308,
    10**30,
    -1,
    "one",
    "1_0",
    " 1",
    "9" * 18,
    "0" * 19,
    "١",
    "",
    None,
    True,
    1.5,
    [],
    {},
]


@pytest.fixture
def caller(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    return api(issue(administrator, role=Role.ADMINISTRATORS).key)


def operations() -> Iterator[tuple[str, str, Schema]]:
    for path, item in description()["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def body_schema(path: str, method: str) -> Schema:
    content = description()["paths"][path][method]["requestBody"]["content"]
    schema: Schema = content["application/json"]["schema"]
    return schema


def test_description_is_valid_itself() -> None:
    validate_schema(description())  # type: ignore[no-untyped-call]


def test_examples_are_as_their_schemas_say() -> None:
    examples = [
        (path, method, content["schema"], example["value"])
        for path, method, operation in operations()
        for part in (operation.get("requestBody", {}), *operation["responses"].values())
        for content in resolved(part).get("content", {}).values()
        for example in content.get("examples", {}).values()
    ]

    wrong = [each for each in examples if not validator(each[2]).is_valid(each[3])]

    assert wrong == []
    assert len(examples) > 100


@pytest.mark.parametrize("version", ["", "v2/"])
def test_example_call_that_creates_a_token_works_as_printed(
    caller: APIClient, version: str
) -> None:
    path = f"/iam/{version}clients/{{client_id}}/tokens"
    content = description()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    (example,) = content["examples"].values()

    answer = caller.post(path.format(client_id=ACCOUNT_ID), example["value"], format="json")

    assert answer.status_code == 200
    expires_at = datetime.fromisoformat(example["value"]["exp_date"])
    assert timedelta(days=30) < expires_at - datetime.now(UTC) < timedelta(days=100)


def test_every_call_says_what_every_call_may_answer() -> None:
    for path, method, operation in operations():
        answers = operation["responses"]
        expected = {"400", "403", "429", "503"}
        if path != VERIFY:
            expected |= {"411", "413", "415"}
        assert expected <= answers.keys(), (path, method)
        for status in ("429", "503"):
            assert "Retry-After" in resolved(answers[status])["headers"], (path, method)
        if "401" in answers:
            assert "WWW-Authenticate" in answers["401"]["headers"], (path, method)


def test_role_is_taken_as_it_is_described(
    caller: APIClient, user: Membership, administrator: Membership
) -> None:
    """Everywhere that a role is named. The answers are held against the description, too."""
    places: dict[tuple[str, str], Any] = {
        ("/iam/v2/clients/{client_id}/tokens", "post"): lambda role: {
            "name": "x",
            "exp_date": "2000-01-01T00:00:00Z",  # creates nothing: all that is told is the role
            "client_user": {"role": role},
        },
        ("/iam/clients/{client_id}/client-users/{user_id}", "put"): lambda role: {
            "user_role": role
        },
        ("/iam/clients/invite_user", "post"): lambda role: {
            "client_id": ACCOUNT_ID,
            "email": user.user.email,  # is a member already
            "user_role": role,
        },
    }
    wrong = []
    for (path, method), body_with in places.items():
        address = path.format(
            client_id=ACCOUNT_ID, user_id=user.user_id, service_account_id=1, code="x"
        )
        judge = validator(body_schema(path, method))
        for role in (*ROLES, *NO_OBJECTS):
            body = body_with(role)
            answer = getattr(caller, method)(address, body, format="json")
            is_taken = "role" not in json.dumps(answer.json() if answer.content else {})
            if is_taken != judge.is_valid(body):
                wrong.append((path, role, answer.content))
    assert wrong == []


def test_account_is_named_as_it_is_described(caller: APIClient, user: Membership) -> None:
    judge = validator(body_schema("/iam/clients/invite_user", "post"))
    wrong = []
    for number in IDS:
        body = {"client_id": number, "email": user.user.email, "user_role": {"id": 2}}
        answer = caller.post("/iam/clients/invite_user", body, format="json")
        is_taken = "client_id" not in answer.json().get("errors", {})
        if is_taken != judge.is_valid(body):
            wrong.append((number, answer.content))
    assert wrong == []


def test_handover_is_taken_as_it_is_described(caller: APIClient, administrator: Membership) -> None:
    path = "/iam/clients/{client_id}/tokens/hand_over"
    judge = validator(body_schema(path, "post"))
    wrong = []
    for tokens in (*([number] for number in IDS), [], None, 5, "5", [1] * 501):
        body = {"tokens": tokens, "issuer": administrator.user_id}
        answer = caller.post(path.format(client_id=ACCOUNT_ID), body, format="json")
        if (answer.status_code == 200) != judge.is_valid(body):
            wrong.append((tokens, answer.content))
    assert wrong == []


def test_deletion_is_taken_as_it_is_described(caller: APIClient) -> None:
    path = "/iam/clients/{client_id}/tokens/delete"
    judge = validator(body_schema(path, "post"))
    wrong = []
    for tokens in (*([number] for number in IDS), [], None, 5, "5", [1] * 500, [1] * 501):
        answer = caller.post(path.format(client_id=ACCOUNT_ID), {"tokens": tokens}, format="json")
        if (answer.status_code == 200) != judge.is_valid({"tokens": tokens}):
            wrong.append((tokens, answer.content))
    assert wrong == []


def test_service_account_is_turned_off_as_it_is_described(
    caller: APIClient, administrator: Membership, now: datetime
) -> None:
    path = "/iam/clients/{client_id}/service_accounts/{service_account_id}"
    judge = validator(body_schema(path, "patch"))
    service = service_account(administrator.account, at=now)
    address = path.format(client_id=ACCOUNT_ID, service_account_id=service.membership.user_id)
    wrong = []
    values: list[Any] = [
        True,
        False,
        None,
        0,
        1,
        1.0,
        "",
        "0",
        "1",
        "true",
        "yes",
        "off",
        "no",
        [],
        {},
    ]
    for value in values:
        answer = caller.patch(address, {"is_active": value}, format="json")
        if (answer.status_code == 200) != judge.is_valid({"is_active": value}):
            wrong.append((value, answer.content))
    assert wrong == []


TEXTS: dict[str, list[str | None]] = {
    "description": ["", "x" * 2_000, " " * 2_000, " " * 2_001, "x" * 2_001, None],
    "name": ["x" * 255, " " * 256, "   ", "x" + " " * 255],
    "exp_date": [
        *(f"2035-01-01T00:00:{seconds}Z" for seconds in ("00.1234567", "59.12345678901", "60")),
        *("2035-01-01T00:00:00.Z", "2035-01-01t00:00z", "2035-01-01", "２035-01-01T00:00:00Z"),
    ],
}


def test_texts_of_a_token_are_taken_as_they_are_described(caller: APIClient) -> None:
    judge = validator(body_schema("/iam/v2/clients/{client_id}/tokens", "post"))
    whole: dict[str, Any] = {"name": "x", "exp_date": None, "client_user": {}}
    wrong = []
    for field, texts in TEXTS.items():
        for text in texts:
            body = {**whole, field: text}
            answer = caller.post(f"/iam/v2/clients/{ACCOUNT_ID}/tokens", body, format="json")
            if (answer.status_code == 200) != judge.is_valid(body):
                wrong.append((field, text, answer.content))
    assert wrong == []


def test_what_may_be_read_has_a_head(caller: APIClient, user: Membership) -> None:
    """Wherever GET changes nothing: the answer is that of GET without its body."""
    for path, method, operation in operations():
        if method == "get" and "login" not in path.rpartition("/")[2]:
            address = path.format(
                client_id=ACCOUNT_ID,
                user_id=user.user_id,
                token_id=1,
                service_account_id=1,
                code="x",
            )
            read, head = caller.get(address), caller.head(address)
            assert head.status_code == read.status_code, (path, operation["operationId"])
            assert b"".join(head) == b"", path


VALUES: dict[str, tuple[list[str], list[str]]] = {
    "integer": (
        ["0", "1", "77"],
        [
            *("one", "1.5", "1,000", "٣x", "--1"),
            *("1.0", "+1", " 1", "1 ", "1_0", "007", "-0", "٣", "１", "1e1"),
        ],
    ),
    "boolean": (
        ["true", "false"],
        ["maybe", "2", "nein", "1", "0", "yes", "on", "off", "t", "TRUE", "True", "False", " true"],
    ),
    "string": (["Users", "2", "Kings", " 2", "\0", "￿"], []),
}
"""Texts that a parameter of this type takes, and others."""


def texts_for(parameter: Schema) -> tuple[list[str], list[str]]:
    """Texts that the parameter takes by its schema, and others."""
    alternatives: list[Schema] = parameter["schema"].get("oneOf", [parameter["schema"]])
    schema = alternatives[0]
    good, bad = VALUES[schema["type"]]
    if parameter["name"] == "q":
        return [text for text in good if text != "\0"], ["\0", "x" * (schema["maxLength"] + 1)]
    if "pattern" in schema:  # scopes
        return ["cdn:purge", "cdn:purge tokens:read"], ["", "cdn", "CDN:x", "a:b ", "a:b  c:d", "*"]
    others = [text for each in alternatives[1:] for text in each["enum"]]
    if "enum" in schema:
        good = [*schema["enum"], *others]
        bad = ["", "Kings", "users", "7", " 1", "1 ", "Users ", "\0"]
        return good, [text for text in bad if text not in good]
    if "minimum" in schema:
        good = [each for each in good if int(each) >= schema["minimum"]]
        bad = [*bad, str(schema["minimum"] - 1)]
    if "maximum" in schema:
        good = [*good, str(schema["maximum"])]
        bad = [*bad, str(schema["maximum"] + 1), "9" * 5_000]
    elif schema["type"] == "integer":
        good = [*good, "9" * 5_000]
    good = [*good, *others]
    return good, [text for text in bad if text not in good]


def test_queries_are_taken_as_they_are_described(caller: APIClient) -> None:
    """Every parameter of every call, with texts that its schema takes and others."""
    wrong, asked = [], 0
    for path, method, operation in operations():
        address = path.format(
            client_id=ACCOUNT_ID, user_id=1, token_id=1, service_account_id=1, code="x"
        )
        for parameter in operation.get("parameters", []):
            if parameter["in"] != "query" or method in ("head", "trace"):
                continue
            good, bad = texts_for(parameter)
            for text in (*good, *bad):
                query = urlencode({parameter["name"]: text})
                answer = caller.generic(method.upper(), f"{address}?{query}")
                asked += 1
                if method == "delete" and answer.status_code == 404:
                    continue  # nothing is there to be deleted, however it is asked
                if (answer.status_code == 400) != (text in bad):
                    wrong.append((path, method, query, answer.status_code))
    assert wrong == []
    assert asked > 100


def test_parameter_is_taken_once(caller: APIClient, user: Membership) -> None:
    """Which of two counts, nobody can know."""
    for path, method, operation in operations():
        address = path.format(
            client_id=ACCOUNT_ID, user_id=user.user_id, token_id=1, service_account_id=1, code="cdn"
        )
        for parameter in operation.get("parameters", []):
            is_asked = parameter["in"] == "query" and "service_account_id" not in path
            if is_asked and parameter["name"] != "scope":  # of which all count
                good = texts_for(parameter)[0][0]
                query = urlencode([(parameter["name"], good)] * 2)
                answer = caller.generic(method.upper(), f"{address}?{query}")
                assert answer.status_code == 400, (path, query)


@pytest.mark.parametrize(
    "query",
    ["", "limit=1", "offset=1", "limit=1&offset=1", "limit=", "limit=&offset=", "limit=&offset=1"],
)
@pytest.mark.parametrize("path", ["/iam/users", "/iam/activity_log/logins"])
def test_list_has_the_shape_that_is_described(
    caller: APIClient, user: Membership, path: str, query: str
) -> None:
    """The fixture `described_answers` holds it against the description."""
    found = caller.get(f"{path}?{query}").json()
    assert isinstance(found, list) is (path == "/iam/users" and "1" not in query)


def test_body_of_another_kind_or_too_large_is_refused_as_described(
    caller: APIClient, administrator: Membership, issue: Issue
) -> None:
    at, by = datetime.now(UTC), Actor.member(administrator)
    scopes = [ScopeFacts("purge", "Purge")]
    register(account=administrator.account, code="cdn", name="CDN", scopes=scopes, by=by, at=at)
    asked, ids = (
        0,
        {
            "user_id": administrator.user_id,
            "token_id": issue(administrator).token.pk,
            "code": "cdn",
            "service_account_id": service_account(administrator.account, at=at).membership.user_id,
        },
    )
    for path, method, operation in operations():
        if path == VERIFY:
            continue  # reads no body
        address = path.format(client_id=ACCOUNT_ID, **ids)
        for kind, length, status in (("text/plain", 5, 415), ("application/json", 300_000, 413)):
            is_read = "requestBody" in operation and "introspect" not in path  # asks for a key
            if not is_read and status == 415:
                continue
            answer = caller.generic(method.upper(), address, "x" * length, kind)
            asked += 1
            assert answer.status_code == status, (path, method)
        packed: Any = gzip.compress(b"{}")
        coding: Any = {"HTTP_CONTENT_ENCODING": "gzip"}
        answer = caller.generic(method.upper(), address, packed, "application/json", **coding)
        assert answer.status_code == 415, (path, method)
        assert "Content-Encoding" in answer.json()["message"]
    assert asked > 40


def schemas(node: Any) -> Iterator[Schema]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from schemas(each)


def test_null_is_allowed_as_openapi_says() -> None:
    """In 3.0.3 `nullable` adds null to the `type` beside it, and without one says nothing."""
    vague = [
        each
        for each in schemas(description())
        if "nullable" in each and "type" not in each and each["enum"] != [None]
    ]
    assert vague == []
    known = description()["components"]["schemas"]
    for name, member in (
        ("Token", "old_secret"),
        ("NewTokenRequest", "issuer"),
        ("NewServiceAccountRequest", "contact"),
        ("PatchedEditedServiceAccountRequest", "contact"),
    ):
        judge = validator(known[name]["properties"][member])
        assert judge.is_valid(None), (name, member)
        assert not judge.is_valid(False), (name, member)


def test_null_beside_no_type_is_not_judged_as_allowed() -> None:
    role = {"allOf": [{"$ref": "#/components/schemas/Role"}], "nullable": True}
    assert not validator(role).is_valid(None)
    assert validator({"type": "string", "nullable": True}).is_valid(None)


def test_answers_have_all_that_is_described() -> None:
    """What is always written is `required`; only refusals, and a token's facts, leave some out."""
    optional = {
        name: set(schema["properties"]) - set(schema.get("required", []))
        for name, schema in description()["components"]["schemas"].items()
        if "properties" in schema and not name.endswith("Request")
    }
    assert {name for name, left_out in optional.items() if left_out} == {"Error", "TokenRefusal"}


@pytest.mark.parametrize("kind", ["xml", "api", "json", ""])
def test_format_is_none_of_the_parameters(caller: APIClient, kind: str) -> None:
    for path in ("/iam/clients/me", "/iam/users/me", "/iam/users"):
        assert caller.get(f"{path}?format={kind}").status_code == 200


def test_challenge_promises_a_reason_where_there_is_one(client: Client) -> None:
    for path, method, scheme in (
        (VERIFY, "get", "APIKey"),
        ("/iam/auth/introspect", "post", "Bearer"),
        ("/iam/users", "get", "APIKey"),
        ("/iam/users", "get", "Bearer"),
    ):
        headers = {"Authorization": f"{scheme} nonsense"}
        sent: Any = client.generic(method.upper(), path, headers=headers)
        told = description()["paths"][path][method]["responses"]["401"]["headers"]
        assert sent.status_code == 401
        assert ("reason" in told["WWW-Authenticate"]["description"]) is (
            "error=" in sent["WWW-Authenticate"]
        ), path
        assert ("X-Auth-Error" in told) is ("X-Auth-Error" in sent), path


def test_code_is_said_to_be_in_a_header_for_verification_only() -> None:
    code = description()["components"]["schemas"]["TokenRefusal"]["properties"]["code"]
    assert "for verification also in the header X-Auth-Error" in code["description"]


def test_headers_of_a_403_are_described(
    client: Client, settings: Settings, administrator: Membership, issue: Issue
) -> None:
    """The fixture `described_answers` holds them against the description."""
    key = issue(administrator, scopes=["tokens:read"]).key.spell()
    headers = {"Authorization": f"APIKey {key}"}
    lacking = client.get(f"{VERIFY}?scope=users:read", headers=headers)
    assert (lacking.status_code, "users:read" in lacking["WWW-Authenticate"]) == (403, True)
    told = client.get("/iam/users/me", headers=headers)
    assert (told.status_code, told.json()["code"]) == (403, "scope_missing")
    shared = description()["components"]["responses"]["Forbidden"]
    assert "scope_missing" in shared["description"]
    settings.SECURE_SSL_REDIRECT = True
    for path in ("/iam/users/me", f"/iam/v2/clients/{ACCOUNT_ID}/tokens"):
        plain = client.post(path) if "tokens" in path else client.get(path)
        assert (plain.status_code, plain["X-Auth-Error"]) == (403, "https_required")


@pytest.mark.parametrize("path", ["/iam/auth/introspect", "/iam/auth/introspect/batch"])
def test_refusals_of_introspection_have_the_described_members(client: Client, path: str) -> None:
    operator = Actor.operator(through=EntryPoint.COMMAND)
    key = issue_verifier(name="CDN", by=operator, at=datetime.now(UTC)).key
    headers = {"Authorization": f"Bearer {key.spell('_')}"}
    own = "application/json" if path.endswith("batch") else FORM
    known = description()["components"]["schemas"]["Error"]
    for kind, status in ((own, 400), ("text/plain", 415)):
        answer = client.post(path, b"?", content_type=kind, headers=headers)
        assert answer.status_code == status
        assert {"error", "errors"} <= answer.json().keys() <= known["properties"].keys()
        assert str(status) in known["description"]


@pytest.mark.parametrize("version", ["", "v2/"])
def test_service_account_that_is_turned_off_is_refused_as_described(
    caller: APIClient, administrator: Membership, now: datetime, version: str
) -> None:
    off = service_account(administrator.account, at=now)
    by = Actor.member(administrator)
    service_accounts.switch(service_account=off, is_on=False, by=by, at=now)
    path = f"/iam/{version}clients/{{client_id}}/tokens"
    issuer = off.membership.user_id
    body: dict[str, Any] = {"name": "x", "exp_date": None, "client_user": {}, "issuer": issuer}

    answer = caller.post(path.format(client_id=ACCOUNT_ID), body, format="json")

    described = description()["paths"][path]["post"]["responses"]["403"]
    (example,) = described["content"]["application/json"]["examples"].values()
    assert (answer.status_code, answer.json()) == (403, example["value"])


def test_service_account_whose_token_has_a_higher_role_is_refused_as_described(
    caller: APIClient, administrator: Membership, issue: Issue, now: datetime
) -> None:
    made = service_account(administrator.account, at=now, role=Role.ENGINEERS)
    issue(made.membership, role=Role.ENGINEERS)
    path = "/iam/clients/{client_id}/service_accounts/{service_account_id}"
    address = path.format(client_id=ACCOUNT_ID, service_account_id=made.membership.user_id)

    answer = caller.patch(address, {"role": {"id": Role.USERS.value}}, format="json")

    described = description()["paths"][path]["patch"]["responses"]["403"]
    (example,) = described["content"]["application/json"]["examples"].values()
    assert (answer.status_code, answer.json()) == (403, example["value"])


@pytest.mark.parametrize(
    ("characters", "validate"),
    [
        (serializers.LINE, validate_line),
        (serializers.PARAGRAPHS, validate_paragraphs),
        (serializers.PHONE, validate_phone),
    ],
    ids=["line", "paragraphs", "phone"],
)
def test_described_characters_are_those_that_services_take(characters: str, validate: Any) -> None:
    halves = range(0xD800, 0xE000)  # no JSON document has them
    described = re.compile(characters)
    for code in (*range(0x3000), *range(0xFE00, 0x10000)):
        if code in halves:
            continue
        try:
            validate(f"1{chr(code)}2")
        except ValidationError:
            assert not described.fullmatch(chr(code)), hex(code)
        else:
            assert described.fullmatch(chr(code)), hex(code)
