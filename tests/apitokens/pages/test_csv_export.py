"""The list of tokens as a file: what was filtered, harmless in a spreadsheet, and no secrets."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from django.http import StreamingHttpResponse
from django.test import Client

from accounts.models import Membership
from accounts.roles import Role
from accounts.text import csv_lines
from apitokens import csv_export
from apitokens.models import APIToken
from tests import factories
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, service_account

pytestmark = pytest.mark.django_db

EXPORT = f"/accounts/{ACCOUNT_ID}/api-tokens/export.csv"


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


def text(browser: Client, **query: Any) -> str:
    answer = cast(StreamingHttpResponse, browser.get(EXPORT, query))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return b"".join(cast(Iterable[bytes], answer.streaming_content)).decode()


def lines(browser: Client, **query: Any) -> list[dict[str, str]]:
    """What a spreadsheet reads."""
    return list(csv.DictReader(io.StringIO(text(browser, **query).removeprefix("\ufeff"))))


@pytest.mark.both
def test_file_holds_the_filtered_list_in_its_order_and_all_pages(
    browser: Client,
    administrator: Membership,
    user: Membership,
    issue: Issue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_export, "PART", 2)
    for name in "CABED":
        issue(user, name=name, role=Role.USERS)
    issue(administrator, name="Other")
    found = lines(browser, issued_by=user.user_id, sort="-name", page="2", page_size="10")
    assert [line["name"] for line in found] == list("EDCBA")


def test_file_tells_what_the_list_tells(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    at = now.replace(microsecond=0)
    allowed = ["203.0.113.0/24", "2001:db8::/48"]
    facts = {"description": "Builds", "at": at - timedelta(days=2), "allowed_addresses": allowed}
    token = issue(user, name="CI", **facts).token
    APIToken.objects.update(last_used_at=at, last_used_address="203.0.113.7")
    (line,) = lines(browser)
    assert line == {
        "id": str(token.pk),
        "name": "CI",
        "description": "Builds",
        "status": "active",
        "role": "Users",
        "issued_by": user.user.name,
        "issued_by_email": user.user.email,
        "issuer_uses_sso": "no",
        "created": f"{at - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}",
        "expires": "",
        "last_used": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "last_used_address": "203.0.113.7",
        "deleted": "",
        "deleted_by": "",
        "scopes": "",
        "allowed_addresses": "203.0.113.0/24, 2001:db8::/48",
    }


def test_file_holds_neither_secret_nor_digest(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    token, key = issue(administrator)
    token.refresh_from_db()
    assert token.digest is not None
    said = text(browser)
    assert key.spell()[-72:] not in said
    assert bytes(token.digest).hex() not in said
    assert set(csv_export.COLUMNS).isdisjoint({"digest", "pepper", "form_key"})


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "＝1", " =1"])
def test_no_name_is_a_formula(
    browser: Client, administrator: Membership, issue: Issue, name: str
) -> None:
    issue(administrator, name=name)
    (line,) = lines(browser)
    assert line["name"] == f"'{name.strip()}"


def test_others_get_a_file_of_their_own_tokens(
    client: Client, administrator: Membership, user: Membership, issue: Issue, sign_in: SignIn
) -> None:
    issue(administrator, name="Hidden")
    issue(user, name="Own")
    sign_in(client, user)
    assert [line["name"] for line in lines(client)] == ["Own"]


def test_filter_that_makes_no_sense_gives_no_file(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issue(administrator)
    answer = browser.get(EXPORT, {"status": "sleeping"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/html; charset=utf-8")


@pytest.mark.parametrize("count", [1, 12])
def test_file_costs_the_same_queries_for_any_number_of_tokens(
    browser: Client,
    administrator: Membership,
    issue: Issue,
    count: int,
    django_assert_num_queries: Any,
) -> None:
    for _ in range(count):
        issue(administrator)
    with django_assert_num_queries(6):  # and which tokens, the tokens, who issued them
        assert len(lines(browser)) == count


def test_file_holds_tokens_of_service_accounts(
    browser: Client, administrator: Membership, now: datetime
) -> None:
    deploys = service_account(administrator.account, at=now)
    factories.issue(administrator, at=now, issuer=deploys.membership)

    (line,) = lines(browser)

    assert line["issued_by"] == deploys.name


def test_cells_that_begin_like_a_formula_are_quoted() -> None:
    cells = ["12", "é", "", "-1", " =A1", "＝A1"]
    assert [csv_lines.harmless(each) for each in cells] == ["12", "é", "", "'-1", "' =A1", "'＝A1"]
