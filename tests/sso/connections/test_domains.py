"""E-mail domains: accounts request them, operators approve or refuse."""

from datetime import datetime

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from sso.connections import domains
from sso.models import Connection, Domain
from tests.factories import (
    ConnectionFactory,
    DomainFactory,
    UserFactory,
    acting,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(administrator: Membership) -> Connection:
    return ConnectionFactory.create(account=administrator.account)


@pytest.fixture
def by(administrator: Membership) -> Actor:
    return Actor.member(administrator)


@pytest.fixture
def operator(db: None) -> Actor:
    user = UserFactory.create(is_staff=True, is_superuser=True)
    return Actor.operator(through=EntryPoint.ADMIN, user=user)


@pytest.fixture
def domain(connection: Connection, by: Actor, now: datetime) -> Domain:
    """A requested domain."""
    return domains.request_approval(connection=connection, name="example.com", by=by, at=now)


def kinds() -> list[str]:
    return [each.kind for each in AuditEvent.objects.filter(kind__startswith="sso.").order_by("pk")]


# --- What a domain is ---


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("example.com", "example.com"),
        (" Example.COM. ", "example.com"),
        ("@example.com", "example.com"),
        ("maria@example.com", "example.com"),
        ("mail.example.co.uk", "mail.example.co.uk"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_domain_is_read_as_people_write_it(written: str, meant: str) -> None:
    assert domains.normalize_domain(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        *("", ".", "localhost", "com", "192.0.2.1", "[::1]", "a..example", "-a.example"),
        *("a b.example", "*.example.com", "https://example.com", "example.com/x", "\0.example"),
        *("x" * 64 + ".example", "a." * 127 + "example", "example.com\n.evil", "ü" * 300),
    ],
)
def test_what_is_no_domain_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        domains.normalize_domain(written)


# --- Requesting ---


def test_domain_that_is_asked_for_is_not_in_force(domain: Domain, by: Actor) -> None:
    assert not domain.is_approved
    assert domain.asked_by == by.membership
    assert not Domain.objects.in_force().exists()
    assert kinds() == ["sso.domain_requested"]


def test_requesting_a_domain_is_idempotent(
    connection: Connection, domain: Domain, by: Actor
) -> None:
    again = domains.request_approval(
        connection=connection, name="EXAMPLE.com", by=by, at=domain.asked_at
    )
    assert again == domain
    assert kinds() == ["sso.domain_requested"]


@pytest.mark.parametrize("who", ["engineer", "stranger", "token", "operator"])
def test_only_administrators_in_person_ask(
    connection: Connection,
    administrator: Membership,
    engineer: Membership,
    stranger: Membership,
    operator: Actor,
    who: str,
    now: datetime,
) -> None:
    actor = {
        "engineer": Actor.member(engineer),
        "stranger": Actor.member(stranger),
        "token": acting(administrator, Role.ADMINISTRATORS, at=now),
        "operator": operator,
    }[who]
    with pytest.raises(PermissionDenied):
        domains.request_approval(connection=connection, name="example.com", by=actor, at=now)
    assert not Domain.objects.exists()


def test_approved_domain_of_another_account_is_refused_without_naming_it(
    connection: Connection, by: Actor, now: datetime
) -> None:
    other = ConnectionFactory.create(account__name="Globex")
    DomainFactory.create(connection=other, name="example.com")
    with pytest.raises(ValidationError) as refusal:
        domains.request_approval(connection=connection, name="example.com", by=by, at=now)
    assert refusal.value.code == "taken"
    assert "Globex" not in refusal.value.messages[0]


def test_domain_that_another_account_waits_for_can_be_asked_for(
    connection: Connection, by: Actor, now: datetime
) -> None:
    DomainFactory.create(name="example.com", approved_at=None)
    assert domains.request_approval(connection=connection, name="example.com", by=by, at=now)


def test_nobody_asks_for_domains_without_end(
    connection: Connection, by: Actor, now: datetime
) -> None:
    DomainFactory.create_batch(
        domains.MAX_DOMAINS, connection=connection, asked_by=by.membership, approved_at=None
    )
    with pytest.raises(ValidationError) as refusal:
        domains.request_approval(connection=connection, name="example.com", by=by, at=now)
    assert refusal.value.code == "too_many"


def test_refused_domain_can_be_asked_for_again(
    connection: Connection, domain: Domain, by: Actor, operator: Actor, now: datetime
) -> None:
    domains.refuse(domain=domain, by=operator, at=now)
    again = domains.request_approval(connection=connection, name="example.com", by=by, at=now)
    assert again.refused_at is None
    assert kinds()[-1] == "sso.domain_requested"


# --- Approving and refusing ---


def test_approved_domain_is_in_force(domain: Domain, operator: Actor, now: datetime) -> None:
    assert domains.approve(domain=domain, by=operator, at=now)

    [found] = Domain.objects.in_force()
    assert (found.approved_at, found.approved_by) == (now, operator.user)
    [event] = AuditEvent.objects.filter(kind="sso.domain_approved")
    assert event.details == {"domain": "example.com"}
    assert event.account == domain.connection.account


def test_approving_is_idempotent(domain: Domain, operator: Actor, now: datetime) -> None:
    domains.approve(domain=domain, by=operator, at=now)
    assert not domains.approve(domain=domain, by=operator, at=now)
    assert kinds().count("sso.domain_approved") == 1


def test_approved_domain_of_a_connection_that_is_off_is_not_in_force(
    domain: Domain, operator: Actor, now: datetime
) -> None:
    domains.approve(domain=domain, by=operator, at=now)
    Connection.objects.update(is_on=False)
    assert not Domain.objects.in_force().exists()


@pytest.mark.parametrize("service", [domains.approve, domains.refuse])
def test_only_operators_approve_or_refuse(
    domain: Domain, by: Actor, service: object, now: datetime
) -> None:
    assert callable(service)
    with pytest.raises(PermissionDenied):
        service(domain=domain, by=by, at=now)
    domain.refresh_from_db()
    assert (domain.approved_at, domain.refused_at) == (None, None)


def test_former_operator_cannot_approve(domain: Domain, operator: Actor, now: datetime) -> None:
    assert operator.user is not None
    type(operator.user).objects.filter(pk=operator.user.pk).update(is_staff=False)
    with pytest.raises(PermissionDenied):
        domains.approve(domain=domain, by=operator, at=now)


@pytest.mark.both
def test_domain_is_approved_for_one_account_only(
    domain: Domain, operator: Actor, now: datetime
) -> None:
    other = DomainFactory.create(name="example.com", approved_at=None)
    domains.approve(domain=other, by=operator, at=now)
    with pytest.raises(ValidationError) as refusal:
        domains.approve(domain=domain, by=operator, at=now)
    assert refusal.value.code == "taken"
    domain.refresh_from_db()
    assert not domain.is_approved


@pytest.mark.both
def test_database_lets_two_accounts_have_no_domain_together() -> None:
    DomainFactory.create(name="example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        DomainFactory.create(name="example.com")


def test_approval_can_be_taken_back(domain: Domain, operator: Actor, now: datetime) -> None:
    domains.approve(domain=domain, by=operator, at=now)
    assert domains.refuse(domain=domain, by=operator, at=now)
    assert not Domain.objects.in_force().exists()
    assert not domains.refuse(domain=domain, by=operator, at=now)


def test_withdrawn_domain_cannot_be_approved(
    domain: Domain, by: Actor, operator: Actor, now: datetime
) -> None:
    stale = Domain.objects.select_related("connection").get()
    domains.withdraw(domain=domain, by=by, at=now)
    with pytest.raises(ValidationError) as refusal:
        domains.approve(domain=stale, by=operator, at=now)
    assert refusal.value.code == "withdrawn"


# --- Withdrawing ---


def test_withdrawn_domain_is_gone_at_once(
    domain: Domain, by: Actor, operator: Actor, now: datetime
) -> None:
    domains.approve(domain=domain, by=operator, at=now)
    domains.withdraw(domain=domain, by=by, at=now)
    assert not Domain.objects.exists()
    assert kinds()[-1] == "sso.domain_withdrawn"


def test_somebody_elses_domain_is_not_withdrawn(
    domain: Domain, stranger: Membership, engineer: Membership, now: datetime
) -> None:
    for other in (stranger, engineer):
        with pytest.raises(PermissionDenied):
            domains.withdraw(domain=domain, by=Actor.member(other), at=now)
    assert Domain.objects.exists()


@pytest.mark.parametrize("way", ["withdrawn", "refused"])
def test_nobody_is_forced_without_a_domain(
    domain: Domain, by: Actor, operator: Actor, way: str, now: datetime
) -> None:
    other = DomainFactory.create(connection=domain.connection, asked_by=by.membership)
    domains.approve(domain=domain, by=operator, at=now)
    Connection.objects.update(is_forced=True)

    domains.withdraw(domain=other, by=by, at=now)
    assert Connection.objects.get().is_forced
    if way == "withdrawn":
        domains.withdraw(domain=domain, by=by, at=now)
    else:
        domains.refuse(domain=domain, by=operator, at=now)
    assert not Connection.objects.get().is_forced
    assert kinds()[-1] == "sso.enforcement_disabled"
