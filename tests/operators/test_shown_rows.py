"""Actions of the operators' lists act on what the list has shown, and on nothing else."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client

from accounts.admin.filters import ListAdmin
from accounts.admin.row_actions import RowActionsMixin
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.models import Account, Invitation, Membership
from accounts.roles import Role
from apitokens.models import APIToken, Service
from apitokens.scopes import services
from apitokens.scopes.services import ScopeFacts
from notifications.models import Mail, State
from sso.connections import domains
from sso.models import Connection, Domain, Subject
from tests.conftest import Issue
from tests.factories import CertificateFactory, ConnectionFactory, DomainFactory
from tests.operators.conftest import page, selected, shown
from tests.questions import hidden_fields

pytestmark = [pytest.mark.django_db, pytest.mark.both]

OTHER = Actor.operator(through=EntryPoint.COMMAND)
ONLY_SHOWN = "This action works only on rows that the page shows, so nothing has been done."
CHANGED = "This was changed after you opened the page, so nothing has been done."
Make = Callable[[], Model]


@pytest.fixture
def connection(account: Account) -> Connection:
    made = ConnectionFactory.create(account=account, name="Company directory")
    CertificateFactory.create(connection=made)
    return made


@pytest.fixture
def domain(connection: Connection, administrator: Membership) -> Domain:
    return DomainFactory.create(
        connection=connection, name="example.com", approved_at=None, asked_by=administrator
    )


@pytest.fixture
def invitation(administrator: Membership, now: datetime) -> Invitation:
    return invitations.invite(
        account=administrator.account,
        email="nora@example.com",
        role=Role.USERS,
        by=Actor.member(administrator),
        at=now,
    )


@pytest.fixture
def linked(connection: Connection, administrator: Membership, now: datetime) -> Membership:
    Subject.objects.create(
        connection=connection, membership=administrator, name_id="maria-7f3a", linked_at=now
    )
    return administrator


def opened(browser: Client, row: Model) -> dict[str, Any]:
    """The fields of the list as it is now, with this row selected."""
    return selected(browser, _list_of(row), row)


def _list_of(row: Model) -> str:
    return f"{row._meta.app_label}_{row._meta.model_name}_changelist"


def run(browser: Client, row: Model, action: str, fields: dict[str, Any]) -> str:
    return browser.post(page(_list_of(row)), {**fields, "action": action}, follow=True).text


def change(row: Model, now: datetime) -> None:
    """What another one does to the row while the list is open."""
    later = now + timedelta(minutes=1)
    match row:
        case Domain(refused_at=None):
            domains.refuse(domain=row, by=OTHER, at=later)
        case Domain():
            row.refused_at = None
            row.asked_at = later
            row.save()
        case Connection(is_forced=True):
            Connection.objects.filter(pk=row.pk).update(entity_id="https://other.example.com")
        case Connection():
            Connection.objects.filter(pk=row.pk).update(is_forced=True)
        case Invitation():
            invitations.send_again(invitation=row, by=OTHER, at=later)
        case Membership():
            Subject.objects.filter(membership=row).update(name_id="maria-new", linked_at=later)


@pytest.mark.parametrize(
    ("made", "action"),
    [
        ("domain", "approve"),
        ("refused_domain", "refuse"),
        ("connection", "switch_off"),
        ("forced", "stop_forcing"),
        ("invitation", "send_again"),
        ("invitation", "withdraw"),
        ("linked", "unlink"),
    ],
)
def test_row_that_changed_since_the_list_was_opened_stays_as_it_is(
    browser: Client, request: pytest.FixtureRequest, made: str, action: str, now: datetime
) -> None:
    row: Any = request.getfixturevalue(made)
    fields = opened(browser, row)
    change(row, now)
    before = type(row).objects.filter(pk=row.pk).values().get()
    subjects = list(Subject.objects.values())

    assert CHANGED in run(browser, row, action, fields)

    assert type(row).objects.filter(pk=row.pk).values().get() == before
    assert list(Subject.objects.values()) == subjects
    assert CHANGED not in run(browser, row, action, opened(browser, row))


@pytest.fixture
def refused_domain(domain: Domain, now: datetime) -> Domain:
    domains.refuse(domain=domain, by=OTHER, at=now)
    domain.refresh_from_db()
    return domain


@pytest.fixture
def forced(connection: Connection) -> Connection:
    connection.is_forced = True
    connection.save()
    return connection


def test_row_that_is_as_it_was_shown_is_acted_on(browser: Client, domain: Domain) -> None:
    assert "Done. (example.com)" in run(browser, domain, "approve", opened(browser, domain))
    domain.refresh_from_db()
    assert domain.is_approved


def test_what_another_operator_has_done_already_is_no_change(
    browser: Client, domain: Domain, now: datetime
) -> None:
    fields = opened(browser, domain)
    domains.approve(domain=domain, by=OTHER, at=now)

    assert "No change was needed" in run(browser, domain, "approve", fields)


@pytest.fixture
def pages_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each list shows one row a page."""
    monkeypatch.setattr(ListAdmin, "list_per_page", 1)


ACROSS = {"select_across": "1"}
"""What the Django admin sends for "Select all 120 domains": those of all pages."""


@pytest.mark.usefixtures("pages_of_one")
def test_no_row_of_another_page_is_acted_on(browser: Client, domain: Domain) -> None:
    other = DomainFactory.create(connection=domain.connection, name="b.com", approved_at=None)
    for row in (domain, other):
        fields = opened(browser, row)

        assert ONLY_SHOWN in run(browser, row, "approve", fields | ACROSS)

    named = {"_selected_action": [str(domain.pk), str(other.pk)], "shown": []}
    assert run(browser, domain, "approve", named).count(CHANGED) == 2
    assert not Domain.objects.filter(approved_at__isnull=False).exists()


@pytest.mark.usefixtures("pages_of_one")
def test_mails_of_other_pages_are_not_sent_again(
    browser: Client, administrator: Membership, now: datetime
) -> None:
    person = {"user": administrator.user, "account": administrator.account}
    times = {"created_at": now, "next_try_at": now, "give_up_at": now}
    for _number in range(2):
        mail = Mail.objects.create(**person, **times, kind="token", state=State.FAILED)

    answer = run(browser, mail, "try_again", {"_selected_action": [str(mail.pk)]} | ACROSS)

    assert ONLY_SHOWN in answer
    assert not Mail.objects.exclude(state=State.FAILED).exists()


@pytest.mark.usefixtures("pages_of_one")
def test_tokens_of_other_pages_are_shown_by_the_question_first(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    tokens = [issue(administrator, name=name).token for name in ("Deploys", "Reports")]
    chosen = {"_selected_action": [str(tokens[0].pk)]} | ACROSS

    question = run(browser, tokens[0], "delete_selected", chosen)

    assert "Delete these 2 API tokens?" in question
    assert "Deploys" in question
    assert "Reports" in question
    # and the answer is about those that it names
    assert ONLY_SHOWN in run(browser, tokens[0], "delete_selected", {**chosen, "post": "yes"})
    assert not APIToken.objects.deleted().exists()


@pytest.mark.usefixtures("pages_of_one")
def test_rows_of_other_pages_are_offered_only_where_a_question_comes_first(
    browser: Client, domain: Domain, administrator: Membership, issue: Issue
) -> None:
    DomainFactory.create(connection=domain.connection, name="b.com")
    tokens = [issue(administrator).token for _number in range(2)]

    offered = [
        "across all pages" in shown(browser, page(_list_of(row))) for row in (domain, tokens[0])
    ]

    assert offered == [False, True]


def test_every_list_with_actions_refuses_rows_of_other_pages() -> None:
    lists = [each for each in admin.site._registry.values() if each.actions]
    assert len(lists) >= 6
    for each in lists:
        assert isinstance(each, ListAdmin), each


def test_every_list_with_such_actions_says_what_it_shows() -> None:
    lists = [each for each in admin.site._registry.values() if isinstance(each, RowActionsMixin)]
    assert len(lists) >= 4
    for each in lists:
        assert type(each).snapshot is not RowActionsMixin.snapshot, each


def test_service_is_deleted_with_the_scopes_that_were_shown(browser: Client, now: datetime) -> None:
    purge, read = ScopeFacts("purge", "Purge the cache"), ScopeFacts("read", "Read")
    made = services.register(
        account=None, code="cdn", name="Content", scopes=[purge], by=OTHER, at=now
    )
    address = page("apitokens_service_delete", made.pk)
    assert "cdn:purge" in shown(browser, address)
    opened = hidden_fields(browser, address)
    services.edit(service=made, name="Content", scopes=[purge, read], by=OTHER, at=now)

    assert CHANGED in browser.post(address, opened, follow=True).text

    assert Service.objects.filter(pk=made.pk).exists()
    browser.post(address, hidden_fields(browser, address))
    assert not Service.objects.filter(pk=made.pk).exists()
