"""The audit log as a file: the same rows, and harmless in a spreadsheet."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.audit import csv_export, labels
from accounts.audit import recorder as audit
from accounts.audit.csv_export import COLUMNS
from accounts.authorization.actor import Actor
from accounts.models import Membership
from accounts.text.csv_lines import harmless
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID


def answer(client: Client, **query: Any) -> Any:
    return client.get(reverse("accounts:audit_log_file", args=[ACCOUNT_ID]), query)


def text(response: Any) -> str:
    chunks = cast(StreamingHttpResponse, response).streaming_content
    return b"".join(cast(Iterable[bytes], chunks)).decode()


def lines(client: Client, **query: Any) -> list[dict[str, str]]:
    """What a spreadsheet reads."""
    return list(csv.DictReader(io.StringIO(text(answer(client, **query)).removeprefix("\ufeff"))))


def test_file_holds_the_rows_that_were_filtered_and_no_others(
    client: Client, administrator: Membership, user: Membership, issue: Issue, sign_in: SignIn
) -> None:
    token, _key = issue(user)
    issue(administrator)
    sign_in(client, administrator)

    (line,) = lines(client, person=user.user_id)

    assert list(line) == COLUMNS
    assert line["event"] == "token.issued"
    assert (line["email"], line["subject_id"]) == (user.user.email, str(token.pk))


@pytest.mark.parametrize(("former", "present"), labels.RENAMED.items())
def test_event_that_was_renamed_is_filtered_and_written_by_its_present_code(
    client: Client,
    administrator: Membership,
    sign_in: SignIn,
    now: datetime,
    former: str,
    present: str,
) -> None:
    by, account = Actor.member(administrator), administrator.account
    for kind in (former, present, "account.renamed"):
        audit.record(kind, by=by, at=now, account=account)
    sign_in(client, administrator)

    found = lines(client, kind=present)

    name = labels.event_name(present)
    assert [(line["event"], line["description"]) for line in found] == 2 * [(present, name)]


def test_file_goes_on_beyond_a_page_and_a_part(
    client: Client,
    user: Membership,
    sign_in: SignIn,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_export, "PART", 10)
    for number in range(31):
        at = now - timedelta(minutes=number)
        audit.record("account.renamed", by=Actor.member(user), at=at, account=user.account)
    sign_in(client, user)

    assert len(lines(client, kind="account.renamed", page=2)) == 31


def test_file_is_streamed_as_a_download(client: Client, user: Membership, sign_in: SignIn) -> None:
    sign_in(client, user)

    response = answer(client)

    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="audit-log-')
    assert "no-store" in response["Cache-Control"]
    assert text(response).startswith("\ufeff")


def test_file_of_a_member_holds_nothing_of_others(
    client: Client, user: Membership, engineer: Membership, issue: Issue, sign_in: SignIn
) -> None:
    issue(engineer)
    sign_in(client, user)

    assert engineer.user.email not in text(answer(client))


def test_wrong_filter_is_told_on_the_page_instead(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    sign_in(client, user)

    response = answer(client, token="nonsense")

    assert response.status_code == 400
    assert b"Enter the ID of an API token" in response.content


@pytest.mark.parametrize(
    "evil",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "＋1", "－1", "＠1"],
)
def test_formula_is_only_text(evil: str) -> None:
    assert harmless(evil) == f"'{evil}"


@pytest.mark.parametrize("text", ["", "Maria", "a=b", "1-1", "'quoted'", " spaced"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_name_that_is_a_formula_arrives_as_text(
    client: Client, user: Membership, sign_in: SignIn, issue: Issue
) -> None:
    user.user.name = '=HYPERLINK("http://evil.example","x")'
    user.user.save()
    issue(user)
    sign_in(client, user)

    (line,) = lines(client, kind="token.issued")

    assert line["name"] == f"'{user.user.name}"


def test_commas_quotes_and_line_breaks_stay_in_their_cell(
    client: Client, user: Membership, sign_in: SignIn, now: datetime
) -> None:
    by = Actor.member(user)
    audit.record("account.renamed", by=by, at=now, account=user.account, after='a,"b"\nc')
    sign_in(client, user)

    (line,) = lines(client, kind="account.renamed")

    assert line["details"] == r'{"after": "a,\"b\"\nc"}'


def test_file_is_in_the_language_of_the_reader(
    client: Client, administrator: Membership, issue: Issue, sign_in: SignIn
) -> None:
    """It is made when the request has ended, and the reader's language with it."""
    issue(administrator)
    administrator.user.language = "de"
    administrator.user.save()
    sign_in(client, administrator)
    found = lines(client, kind="token.issued")
    with translation.override("de"):
        wanted = labels.event_name("token.issued")
    assert {line["description"] for line in found} == {wanted}
    assert wanted != labels.event_name("token.issued")
