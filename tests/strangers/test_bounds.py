"""What strangers send costs a line of the log and a page of the usual size, however long it is."""

import logging
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import Membership
from config import views
from config.middleware import LONGEST_QUERY, LONGEST_VALUE, bound_query
from tests.conftest import Issue, SignIn
from tests.operators.test_lists import LISTS

pytestmark = pytest.mark.django_db

NAMES = (
    *("page", "page_size", "q", "sort", "o", "p", "all", "role", "status", "kind", "token", "ids"),
    *("person", "since", "until", "issued_by", "signs_in_by", "next", "e", "nothing"),
)
LONG = "9" * 20_000
"""So long that a page with a few links is beyond the bound if they repeat it whole."""
MOST_LINKS = 30
"""That repeat the query, of the page that has most."""


@pytest.fixture
def handler() -> logging.Handler:
    """The one that writes the log."""
    (found,) = (
        each
        for each in logging.getLogger().handlers
        if any(type(rule).__name__ == "RedactTokens" for rule in each.filters)
    )
    return found


@pytest.fixture
def pages(client: Client, administrator: Membership, issue: Issue, sign_in: SignIn) -> list[str]:
    """The addresses of all lists, as an operator and Administrator sees them."""
    administrator.user.is_staff = administrator.user.is_superuser = True
    administrator.user.save()
    sign_in(client, administrator)
    token = issue(administrator).token
    of_account = {"account_id": administrator.account_id}
    return [
        *(reverse(f"admin:{name}") for name in LISTS),
        reverse("apitokens:list", kwargs=of_account),
        reverse("apitokens:token", kwargs={**of_account, "pk": token.pk}),
        reverse("accounts:people", kwargs=of_account),
        reverse("accounts:audit_log", kwargs=of_account),
        reverse("notifications:inbox", kwargs=of_account),
    ]


def test_no_page_grows_with_what_it_is_asked_for(client: Client, pages: list[str]) -> None:
    for page in pages:
        usual = len(client.get(page).content)
        for query in ({"page": LONG}, {"nothing": LONG}, dict.fromkeys(NAMES, LONG)):
            answer = client.get(page, query)
            assert answer.status_code in (200, 302, 400), (page, query.keys())
            repeated = MOST_LINKS * min(len(query) * LONGEST_VALUE, LONGEST_QUERY)
            assert len(answer.content) < usual + repeated, (page, query.keys())


def asked(query: str, path: str = "/sign-in/") -> str:
    """The query that a view sees."""
    seen: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request.META["QUERY_STRING"])
        return HttpResponse()

    bound_query(view)(RequestFactory().get(f"{path}?{query}"))
    return seen[0]


def test_query_of_a_usual_length_is_left_as_it_is() -> None:
    ids = ",".join(["9" * 10] * 50)
    for query in ("", "q=%D1%82%20+&&=&q", f"ids={ids}&page=2"):
        assert asked(query) == query


def test_query_that_is_too_long_is_cut_and_what_fits_is_kept() -> None:
    cut = QueryDict(asked(f"q={'ж' * 255}&page={'9' * 5_000}&sort=name&next=/x"))
    assert cut["q"] == "ж" * 255
    assert cut["page"] == "9" * LONGEST_VALUE
    assert (cut["sort"], cut["next"]) == ("name", "/x")
    many = "&".join(f"p{number}=x" for number in range(900))
    assert len(asked(many)) < 2 * LONGEST_QUERY


@pytest.mark.parametrize("path", ["/saml/x/sls/", "/iam/v2/clients/1/tokens"])
def test_messages_and_calls_are_not_cut(path: str) -> None:
    query = f"SAMLRequest={'x' * 5_000}"
    assert asked(query, path) == query


# --- One line for what is refused ----------------------------------------------------------------


def refuse(_account_id: int | None) -> HttpResponse:
    raise PermissionDenied("Not for you.")


def fail(_account_id: int | None) -> HttpResponse:
    raise ValueError("a fault of ours")


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        (403, {}),
        (404, {"path": "/nothing"}),
        (405, {"REQUEST_METHOD": "POST", "path": "/iam/docs"}),
        (400, {"HTTP_HOST": "evil.example"}),
        (400, {"CONTENT_TYPE": "multipart/form-data; boundary=", "REQUEST_METHOD": "POST"}),
        (413, {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(10**9)}),
    ],
)
def test_refusal_is_logged_in_a_line(
    caplog: pytest.LogCaptureFixture,
    handler: logging.Handler,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    facts: dict[str, Any],
) -> None:
    if not facts:
        monkeypatch.setattr(views, "reference_for", refuse)
    path = facts.pop("path", "/iam/docs" if not facts else "/sign-in/")
    answer = Client().generic(facts.pop("REQUEST_METHOD", "GET"), path, **facts)
    assert answer.status_code == status
    for record in caplog.records:
        handler.filter(record)
        assert "\n" not in handler.format(record).strip()


def test_fault_of_ours_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture, handler: logging.Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "reference_for", fail)
    assert Client(raise_request_exception=False).get("/iam/docs").status_code == 500
    for record in caplog.records:
        handler.filter(record)
    assert "a fault of ours" in "".join(handler.format(record) for record in caplog.records)
