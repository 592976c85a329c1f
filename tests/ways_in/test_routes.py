"""The table of ways has all routes by which the URL configuration lets anybody in."""

from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, resolve, reverse
from rest_framework.settings import api_settings

from accounts.models import Membership
from tests.described import description, resolved
from tests.factories import PASSWORD
from tests.tenancy.expected_outcomes import EXPECTED
from tests.tenancy.routes import all_patterns
from tests.ways_in.routes import NO_WAYS, ROUTE_OF
from tests.ways_in.ways import WAYS

SHUT = {"in", "401", "405"}
"""What a route answers to strangers that asks for a session or a token, or has no such method."""
CREDENTIALS = {"access", "refresh", "token"}
"""Members of an answer by which its reader is let in later."""


def test_every_way_names_its_route() -> None:
    assert set(ROUTE_OF) == set(WAYS)
    assert set(ROUTE_OF.values()) <= {pattern.name for pattern in _calls()} | set(EXPECTED)


def test_every_route_that_answers_strangers_is_a_way_or_says_why_not() -> None:
    open_to_strangers = {
        route
        for route, methods in EXPECTED.items()
        if not {outcomes["anonymous"] for outcomes in methods.values()} <= SHUT
    }

    forgotten = open_to_strangers - set(ROUTE_OF.values()) - set(NO_WAYS)
    assert not forgotten, (
        f"Say in tests/ways_in/routes.py whether these let anybody in: {forgotten}"
    )
    assert set(NO_WAYS) <= open_to_strangers
    assert not set(NO_WAYS) & set(ROUTE_OF.values())


def test_every_call_takes_the_credentials_of_the_table_or_is_a_way_of_its_own() -> None:
    """Those of the rows "API token" and "Bearer"; what authenticates otherwise has its own row."""
    usual = list(api_settings.DEFAULT_AUTHENTICATION_CLASSES)
    assert len(usual) == 2
    others = {
        str(pattern.name)
        for pattern in _calls()
        if getattr(_view(pattern), "authentication_classes", None) != usual
    }

    assert others - set(NO_WAYS) <= set(ROUTE_OF.values())
    assert {"api-verify", "api-introspect", "api-introspect-batch", "api-login"} <= others


def test_every_call_that_answers_with_a_credential_is_a_way() -> None:
    giving = {
        resolve(_address(path)).view_name
        for path, item in description()["paths"].items()
        for operation in item.values()
        if isinstance(operation, dict) and _members(operation) & CREDENTIALS
    }

    assert {"api-login", "api-tokens-v2"} <= giving <= set(ROUTE_OF.values())


@pytest.mark.django_db
def test_no_test_gets_a_session_by_a_route_that_is_no_way(
    client: Client, administrator: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    for way in [way for way, route in ROUTE_OF.items() if route == "account_login"]:
        monkeypatch.delitem(ROUTE_OF, way)
    form = {"login": administrator.user.email, "password": PASSWORD}

    with pytest.raises(AssertionError, match="account_login signs somebody in"):
        client.post(reverse("account_login"), form)


def _calls() -> list[URLPattern]:
    return [each for each in all_patterns() if str(each.name).startswith(("api-", "openapi"))]


def _view(pattern: URLPattern) -> Any:
    """The class that Django REST framework has made of it; the function, if it is none."""
    return getattr(pattern.callback, "cls", pattern.callback)


def _address(path: str) -> str:
    """An address of the path: numbers do for ids, and for names."""
    return "/".join("1" if part.startswith("{") else part for part in path.split("/"))


def _members(operation: dict[str, Any]) -> set[str]:
    """The members of its good answers."""
    found: set[str] = set()
    for status, answer in operation.get("responses", {}).items():
        if status.startswith("2"):
            for content in resolved(answer).get("content", {}).values():
                found |= _properties(content["schema"])
    return found


def _properties(schema: Any) -> set[str]:
    schema = resolved(schema)
    inner = [*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())]
    if "items" in schema:
        inner.append(schema["items"])
    return set(schema.get("properties", {})).union(*map(_properties, inner))
