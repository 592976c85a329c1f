"""What operators see of the audit log."""

from datetime import datetime

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.audit import labels
from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from tests.conftest import Issue
from tests.factories import MembershipFactory
from tests.operators.conftest import page, shown

LIST, EVENT = "accounts_auditevent_changelist", "accounts_auditevent_change"


@pytest.mark.parametrize("tokens", [1, 30])
def test_log_costs_the_same_for_any_number_of_events(
    browser: Client,
    tokens: int,
    issue: Issue,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _number in range(tokens):
        issue(MembershipFactory.create())

    # session, operator, kinds, the choice of accounts, count, rows
    with django_assert_num_queries(6):
        shown(browser, page(LIST))


def test_event_tells_who_did_what_and_where(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    token, _key = issue(engineer, name="<script>alert(1)</script>")
    event = AuditEvent.objects.get(kind="token.issued")

    text = shown(browser, page(EVENT, event.pk))

    assert f"apitoken {token.pk}" in text
    assert engineer.user.email in text
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text


def test_log_is_narrowed_by_kind_account_and_time(
    browser: Client, engineer: Membership, stranger: Membership, issue: Issue, now: datetime
) -> None:
    issue(engineer), issue(stranger)
    audit.record("sign_out", by=Actor.member(engineer), at=now)

    assert "sign_out</td>" not in shown(browser, page(LIST), kind="token.issued")
    assert stranger.user.email not in shown(browser, page(LIST), account=engineer.account_id)
    assert "0 results" in shown(browser, page(LIST), at__gte="2100-01-01 00:00:00+00:00")


@pytest.mark.both
@pytest.mark.parametrize(("former", "present"), labels.RENAMED.items())
def test_event_that_was_renamed_is_found_and_shown_by_its_present_code(
    browser: Client, engineer: Membership, now: datetime, former: str, present: str
) -> None:
    for kind in (former, present, "account.renamed"):
        audit.record(kind, by=Actor.member(engineer), at=now, account=engineer.account)

    for query in ({"kind": present}, {"kind": former}, {"q": present}):
        text = shown(browser, page(LIST), **query)
        assert text.count(f'<td class="field-code">{present}</td>') == 2
        assert f">{former}</td>" not in text
        assert "account.renamed</td>" not in text


@pytest.mark.both
@pytest.mark.parametrize("code", ["user.reactivated", "REACTIVATED", '"user.reactivated"'])
def test_event_that_was_renamed_is_found_by_its_present_code_among_other_words(
    browser: Client, engineer: Membership, stranger: Membership, now: datetime, code: str
) -> None:
    for kind in ("user.restored", "user.reactivated", "account.renamed"):
        audit.record(kind, by=Actor.member(engineer), at=now, account=engineer.account)
    audit.record("user.restored", by=Actor.member(stranger), at=now, account=stranger.account)

    for words in (f"{code} {engineer.user.email}", f"{engineer.user.email} {code}"):
        text = shown(browser, page(LIST), q=words)
        assert text.count('<td class="field-code">user.reactivated</td>') == 2
        assert "account.renamed</td>" not in text
        assert stranger.user.email not in text


def test_log_is_searched_by_subject_and_through_which_token(
    browser: Client, engineer: Membership, stranger: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(engineer)
    issue(stranger)
    by = Actor(through=EntryPoint.API, token_id=token.pk, address="203.0.113.9")
    audit.record("token.refused", by=by, at=now)

    found = shown(browser, page(LIST), q=str(token.pk))
    assert "token.refused</td>" in found
    assert stranger.user.email not in found
    assert "token.refused</td>" in shown(browser, page(LIST), q="203.0.113")


def test_links_from_a_token_lead_to_its_events(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    token, _key = issue(engineer, name="Deploys")
    issue(MembershipFactory.create())

    text = shown(browser, page(LIST), subject_type="apitoken", subject_id=token.pk)

    assert "1 result" in text


def test_events_are_neither_added_changed_nor_deleted(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    issue(engineer)
    event = AuditEvent.objects.get(kind="token.issued")
    before = AuditEvent.objects.count()

    for address in (
        page("accounts_auditevent_add"),
        page(EVENT, event.pk),
        page("accounts_auditevent_delete", event.pk),
    ):
        assert browser.post(address, {"post": "yes", "kind": "forged"}).status_code == 403
    event.refresh_from_db()
    assert (event.kind, AuditEvent.objects.count()) == ("token.issued", before)
