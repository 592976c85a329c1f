"""The API's description and documentation, and the portal's health."""

import ast
import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from accounts.models import Membership
from apitokens.filters import FileFilter
from config.api_docs import page
from notifications.health import report
from tests.conftest import SignIn
from tests.described import resolved

ROUTES = {
    "/iam/activity_log/logins": {"get"},
    "/iam/auth/jwt/clients/{client_id}/login": {"get"},
    "/iam/auth/jwt/login": {"post"},
    "/iam/auth/jwt/refresh": {"post"},
    "/iam/clients/invite_user": {"post"},
    "/iam/auth/verify": {"get", "post", "put", "patch", "delete", "head", "options", "trace"},
    "/iam/auth/introspect": {"post"},
    "/iam/auth/introspect/batch": {"post"},
    "/iam/clients/me": {"get"},
    "/iam/clients/{client_id}/client-users/{user_id}": {"get", "put", "delete"},
    "/iam/users": {"get"},
    "/iam/users/me": {"get"},
    "/iam/users/{user_id}": {"get", "patch"},
    "/iam/clients/{client_id}/tokens": {"get", "post"},
    "/iam/clients/{client_id}/tokens/{token_id}": {"get", "patch", "delete"},
    "/iam/clients/{client_id}/tokens/{token_id}/rotate": {"post"},
    "/iam/clients/{client_id}/tokens/{token_id}/old_secret": {"delete"},
    "/iam/clients/{client_id}/services": {"get", "post"},
    "/iam/clients/{client_id}/services/{code}": {"put", "delete"},
    "/iam/clients/{client_id}/service_accounts": {"get", "post"},
    "/iam/clients/{client_id}/service_accounts/{service_account_id}": {"get", "patch", "delete"},
    "/iam/clients/{client_id}/tokens/hand_over": {"post"},
    "/iam/clients/{client_id}/tokens/delete": {"post"},
    "/iam/clients/{client_id}/tokens/export.csv": {"get"},
    "/iam/clients/{client_id}/tokens/look_up": {"post"},
    "/iam/v2/clients/{client_id}/tokens/hand_over": {"post"},
    "/iam/v2/clients/{client_id}/tokens/delete": {"post"},
    "/iam/v2/clients/{client_id}/tokens/export.csv": {"get"},
    "/iam/v2/clients/{client_id}/tokens/look_up": {"post"},
    "/iam/v2/clients/{client_id}/tokens": {"get", "post"},
    "/iam/v2/clients/{client_id}/tokens/{token_id}": {"get", "patch", "delete"},
    "/iam/v2/clients/{client_id}/tokens/{token_id}/rotate": {"post"},
    "/iam/v2/clients/{client_id}/tokens/{token_id}/old_secret": {"delete"},
}
# What is not taken by both kinds of token.
TAKES: dict[str, set[str]] = {
    "/iam/auth/introspect": {"VerifierKey", "Basic"},
    "/iam/auth/introspect/batch": {"VerifierKey", "Basic"},
    "/iam/auth/verify": {"APIKey", "Bearer", "Basic"},
    "/iam/auth/jwt/login": set(),
    "/iam/auth/jwt/refresh": set(),
    "/iam/auth/jwt/clients/{client_id}/login": {"Bearer"},
}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    answer = client.get("/iam/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def test_description_is_made_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask for it as often as they like."""
    describe = Mock(side_effect=page._describe)
    monkeypatch.setattr(page, "_describe", describe)
    page.openapi_json.cache_clear()

    answers = [client.get("/iam/openapi.json").content for _time in range(3)]

    assert describe.call_count == 1
    assert len(set(answers)) == 1


@pytest.mark.django_db
def test_description_needs_no_credentials_and_is_openapi_3(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.\d+\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]


@pytest.mark.django_db
def test_description_lists_every_call_and_no_other(document: dict[str, Any]) -> None:
    listed: dict[str, set[str]] = {}
    for path, method, _operation in operations(document):
        listed.setdefault(path, set()).add(method)
    assert listed == ROUTES


@pytest.mark.django_db
def test_description_refers_to_nothing_that_is_not_in_it(document: dict[str, Any]) -> None:
    used = set(references(document))
    assert used
    for reference in used:
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


@pytest.mark.django_db
def test_every_call_has_a_name_of_its_own_and_answers(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _path, _method, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, _method, operation in operations(document):
        assert set(operation["responses"]) & {"200", "204"}, path
        answers = map(resolved, operation["responses"].values())
        assert all("description" in answer for answer in answers), path


@pytest.mark.django_db
def test_every_part_of_a_path_is_described(document: dict[str, Any]) -> None:
    for path, _method, operation in operations(document):
        described = [each for each in operation.get("parameters", []) if each["in"] == "path"]
        assert {each["name"] for each in described} == set(re.findall(r"{(\w+)}", path))
        assert all(each["required"] for each in described)


@pytest.mark.django_db
def test_every_call_but_signing_in_takes_both_kinds_of_token(document: dict[str, Any]) -> None:
    tokens = {"APIKey", "Bearer"}
    assert set(document["components"]["securitySchemes"]) == {*tokens, "VerifierKey", "Basic"}
    for path, _method, operation in operations(document):
        required = {name for each in operation.get("security", []) for name in each}
        assert required == TAKES.get(path, tokens)


@pytest.mark.django_db
def test_description_names_the_filters_of_the_list(document: dict[str, Any]) -> None:
    listed = document["paths"]["/iam/clients/{client_id}/tokens"]["get"]["parameters"]
    named = {each["name"] for each in listed if each["in"] == "query"}
    assert named == {"role", "issued_by", "not_issued_by", "deleted", "limit", "offset"}


@pytest.mark.django_db
def test_description_names_the_filters_of_the_file(document: dict[str, Any]) -> None:
    path = "/iam/clients/{client_id}/tokens/export.csv"
    listed = document["paths"][path]["get"]["parameters"]
    named = {each["name"] for each in listed if each["in"] == "query"}
    assert named == set(FileFilter.base_filters)


@pytest.mark.django_db
def test_documentation_page_shows_every_call(client: Client) -> None:
    answer = client.get("/iam/docs")
    assert answer.status_code == 200
    page = answer.content.decode()
    for path in ROUTES:
        assert path in page or path.replace("{", "&#123;") in page


@pytest.mark.django_db
def test_examples_are_for_the_readers_account_and_strangers_get_a_placeholder(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    strangers = unescape(client.get("/iam/docs").content.decode())
    assert "/iam/clients/{client_id}/tokens'" in strangers

    sign_in(client, user)
    own = unescape(client.get("/iam/docs").content.decode())

    for line in (
        f"/iam/clients/{user.account_id}/tokens'",
        f'/iam/clients/{user.account_id}/tokens", {{',
        f'requests.get(\n    "http://localhost:8000/iam/clients/{user.account_id}/tokens",',
        f'json={{"client_id": {user.account_id}, "email"',
    ):
        assert line in own
    assert "/iam/clients/{client_id}/tokens'" not in own


def test_examples_of_python_and_javascript_can_be_read_by_their_languages() -> None:
    for group in page.reference_for(7)["groups"]:
        for operation in group["operations"]:
            texts = {each.language: each.text for each in operation["examples"]}
            assert list(texts) == ["curl", "python", "javascript"]
            ast.parse(texts["python"])
            assert texts["javascript"].count("(") == texts["javascript"].count(")")
            assert shlex.split(texts["curl"])[0] == "curl"


def test_page_shows_each_shape_of_an_answer_that_has_several() -> None:
    calls = {
        each["id"]: each for group in page.reference()["groups"] for each in group["operations"]
    }
    shown = next(each["example"] for each in calls["list_users"]["responses"])

    assert shown.startswith("Without limit and offset:\n[")
    assert '\n\nWith limit or offset:\n{\n  "count"' in shown


def test_page_says_where_null_can_be_sent() -> None:
    calls = {
        each["id"]: each for group in page.reference()["groups"] for each in group["operations"]
    }
    types = {each["name"]: each["type"] for each in calls["create_api_token"]["body"]["fields"]}

    assert types["issuer"] == "integer or null"
    assert types["name"] == "string"


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/iam/docs", "/sign-in/"])
def test_page_refers_to_nobody_else(client: Client, url: str) -> None:
    page = client.get(url).content.decode()
    loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="([^"]+)"', page)
    assert loaded
    assert all(each.startswith("/") and not each.startswith("//") for each in loaded)


@pytest.mark.django_db
def test_health_is_ok_while_the_database_answers(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "uptime", timedelta)  # it has just started
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.content.startswith(b'{"status":"ok",')


@pytest.mark.django_db
def test_health_is_not_ok_when_it_does_not(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(connection, "cursor", fail)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/iam/", "/iam/nothing", "/iam/v3/clients/1/tokens"])
def test_address_of_the_api_that_does_not_exist_is_told_in_json(client: Client, url: str) -> None:
    answer = client.get(url)
    assert (answer.status_code, answer.json()) == (404, {"message": "Not found."})
