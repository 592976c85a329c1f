"""Pages of other origins may call the API if they are listed, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.http.cors import NOT_FOR_BROWSERS
from accounts.models import Membership
from apitokens.api.schema_verify import TAG as VERIFICATION
from tests.conftest import Issue
from tests.described import description

pytestmark = pytest.mark.django_db

APP, OTHER = "https://app.example.com", "https://evil.example"
ME = "/iam/users/me"
ALLOW = "Access-Control-Allow-Origin"


@pytest.fixture(autouse=True)
def listed(settings: Settings) -> Settings:
    settings.CORS_ALLOWED_ORIGINS = [APP]
    return settings


def preflight(path: str = ME, origin: str = APP, **headers: str) -> Any:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH", **headers}
    return Client().options(path, headers=asked)


def test_listed_origin_may_call(user: Membership, issue: Issue) -> None:
    before = preflight()
    assert (before.status_code, before[ALLOW]) == (204, APP)
    assert "PATCH" in before["Access-Control-Allow-Methods"]
    assert "Authorization" in before["Access-Control-Allow-Headers"]
    headers = {"Origin": APP, "Authorization": f"APIKey {issue(user).key.spell()}"}
    answer = Client().get(ME, headers=headers)
    assert (answer.status_code, answer[ALLOW]) == (200, APP)


def test_listed_origin_reads_refusals_too() -> None:
    refused = Client().get(ME, headers={"Origin": APP})
    large = Client().post(ME, b"x" * 300_000, content_type="text/plain", headers={"Origin": APP})
    assert [answer.status_code for answer in (refused, large)] == [401, 413]
    assert refused[ALLOW] == large[ALLOW] == APP
    assert "Retry-After" in refused["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "", "*", f"{APP}.evil.example", f"{APP}/", APP.upper(), f"{APP}:444"]
)
def test_other_origin_may_not(origin: str) -> None:
    for answer in (preflight(origin=origin), Client().get(ME, headers={"Origin": origin})):
        assert ALLOW not in answer
        assert "Origin" in answer["Vary"]


def test_credentials_of_browsers_are_never_permitted() -> None:
    assert "Access-Control-Allow-Credentials" not in preflight()


def test_caches_keep_answers_apart(client: Client) -> None:
    assert "Origin" in client.get(ME)["Vary"]


@pytest.mark.parametrize("name", ["account_login", "api-docs", "healthz", "home"])
def test_pages_may_not_be_read(client: Client, name: str) -> None:
    answer = client.get(reverse(name), headers={"Origin": APP})
    assert ALLOW not in answer
    assert ALLOW not in preflight(reverse(name))


@pytest.mark.parametrize("name", ["api-verify", "api-introspect", "api-introspect-batch"])
def test_preflight_opens_nothing_that_other_systems_ask(name: str) -> None:
    answer = preflight(reverse(name))
    assert answer.status_code in (401, 405)
    assert ALLOW not in answer


def test_all_calls_of_other_systems_are_known() -> None:
    theirs = {path for path, tag in _tags() if tag == VERIFICATION}
    assert len(theirs) == 3
    assert theirs <= set(NOT_FOR_BROWSERS)


def _tags() -> Iterator[tuple[str, str]]:
    for path, item in description()["paths"].items():
        for operation in item.values():
            yield path, operation["tags"][0]


def test_preflight_for_another_host_is_refused() -> None:
    assert preflight(Host="evil.example").status_code == 400


def test_nobody_may_by_default(listed: Settings) -> None:
    listed.CORS_ALLOWED_ORIGINS = []
    assert ALLOW not in preflight()
    answer = Client().get(ME, headers={"Origin": APP})
    assert ALLOW not in answer
    assert "Origin" not in answer.get("Vary", "")
