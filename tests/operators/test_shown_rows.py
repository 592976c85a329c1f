"""Actions of the operators' lists act on what the list has shown, and on nothing else."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import lxml.html
import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client

from accounts.admin.row_actions import RowActionsMixin
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.models import Account, Invitation, Membership
from accounts.roles import Role
from apitokens.models import Service
from apitokens.scopes import services
from apitokens.scopes.services import ScopeFacts
from sso.connections import domains
from sso.models import Connection, Domain, Subject
from tests.factories import CertificateFactory, ConnectionFactory, DomainFactory
from tests.operators.conftest import page, shown
from tests.questions import hidden_fields

pytestmark = [pytest.mark.django_db, pytest.mark.both]

OTHER = Actor.operator(through=EntryPoint.COMMAND)
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
    text = shown(browser, page(_list_of(row)))
    (form,) = (each for each in lxml.html.fromstring(text).forms if "shown" in each.fields)
    return {
        "shown": [value for name, value in form.form_values() if name == "shown"],
        "_selected_action": [str(row.pk)],
    }


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
