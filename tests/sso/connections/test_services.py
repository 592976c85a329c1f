"""Services of connections: permissions, effects and validation."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens import keys
from sso.connections import services as connections
from sso.models import Certificate, Connection, Domain, Subject
from sso.saml.metadata import Metadata, parse_metadata
from tests.factories import (
    CertificateFactory,
    ConnectionFactory,
    DomainFactory,
    MembershipFactory,
    SubjectFactory,
    acting,
)
from tests.sso.metadata_documents import BASE_URL, ENTITY_ID, SIGN_IN, key, metadata

pytestmark = pytest.mark.django_db

Service = Callable[..., Any]
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
DAY = timedelta(days=1)
SETTINGS: dict[str, Any] = {
    "name": "Company directory",
    "email_attribute": "mail",
    "name_attribute": "displayName",
    "role_attribute": "",
    "takes_new_people": True,
    "default_role": Role.USERS,
    "may_make_administrators": False,
}


def parsed_metadata(*certificates: str, **facts: Any) -> Metadata:
    return parse_metadata(metadata(*certificates, **facts), base_url=BASE_URL, at=datetime.now(UTC))


@pytest.fixture
def by(administrator: Membership) -> Actor:
    return Actor.member(administrator)


@pytest.fixture
def connection(administrator: Membership, by: Actor, now: datetime) -> Connection:
    """A provider that is known, tested and switched on."""
    made = connections.set_up(account=administrator.account, by=by, at=now)
    connections.set_provider(connection=made, metadata=parsed_metadata(), by=by, at=now)
    assert connections.record_dry_run(connection=reread(made), by=by, at=now)
    connections.switch_on(connection=made, by=by, at=now)
    return reread(made)


@pytest.fixture
def forced(connection: Connection, by: Actor, now: datetime) -> Connection:
    """The same, and users of its domain are forced to use it."""
    DomainFactory.create(connection=connection, asked_by=by.membership)
    SubjectFactory.create(connection=connection, membership=by.membership)
    connections.force(connection=connection, by=by, at=now)
    return reread(connection)


def reread(connection: Connection) -> Connection:
    return Connection.objects.get(pk=connection.pk)


def kinds() -> list[str]:
    events = AuditEvent.objects.filter(kind__startswith="sso.").order_by("pk")
    return [event.kind for event in events]


def code_of(service: Service, **facts: Any) -> str:
    with pytest.raises(ValidationError) as refusal:
        service(**facts)
    errors = refusal.value.error_dict if hasattr(refusal.value, "error_dict") else None
    first = next(iter(errors.values()))[0] if errors else refusal.value.error_list[0]
    return str(first.code)


# --- Permissions ---

SERVICES: dict[str, tuple[Service, dict[str, Any]]] = {
    "describe": (connections.set_provider, {"metadata": None}),  # not looked at
    "settings": (connections.change_settings, SETTINGS),
    "test": (connections.record_dry_run, {}),
    "on": (connections.switch_on, {}),
    "off": (connections.switch_off, {}),
    "force": (connections.force, {}),
    "stop": (connections.stop_forcing, {}),
    "remove": (connections.remove, {}),
}


MAY_NOT = [
    (name, who)
    for name in SERVICES
    for who in ("engineer", "stranger", "token", "operator")
    if (name, who) not in (("off", "operator"), ("stop", "operator"))
]


@pytest.mark.parametrize(("name", "who"), MAY_NOT)
def test_only_administrators_in_person_change_a_connection(
    connection: Connection,
    administrator: Membership,
    engineer: Membership,
    stranger: Membership,
    name: str,
    who: str,
    now: datetime,
) -> None:
    service, facts = SERVICES[name]
    actors = {
        "engineer": lambda: Actor.member(engineer),
        "stranger": lambda: Actor.member(stranger),
        "token": lambda: acting(administrator, Role.ADMINISTRATORS, at=now),
        "operator": lambda: OPERATOR,
    }
    before = kinds()
    with pytest.raises(PermissionDenied):
        service(connection=connection, by=actors[who](), at=now, **facts)
    assert kinds() == before
    assert reread(connection).is_on


@pytest.mark.parametrize("who", ["engineer", "stranger"])
def test_only_administrators_create_a_connection(
    engineer: Membership, stranger: Membership, who: str, now: datetime
) -> None:
    by = Actor.member({"engineer": engineer, "stranger": stranger}[who])
    with pytest.raises(PermissionDenied):
        connections.set_up(account=engineer.account, by=by, at=now)
    assert not Connection.objects.exists()


def test_administrator_demoted_meanwhile_changes_nothing(
    connection: Connection, by: Actor, administrator: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=administrator.pk).update(role=Role.ENGINEERS)
    with pytest.raises(PermissionDenied):
        connections.switch_off(connection=connection, by=by, at=now)


def test_change_after_removal_raises_an_error(
    connection: Connection, by: Actor, now: datetime
) -> None:
    Connection.objects.all().delete()
    assert code_of(connections.switch_off, connection=connection, by=by, at=now) == "removed"


# --- Creation ---


def test_new_connection_is_off(administrator: Membership, by: Actor) -> None:
    made = connections.set_up(account=administrator.account, by=by, at=datetime.now(UTC))

    assert not made.is_on
    assert not made.is_forced
    assert not made.takes_new_people
    assert made.given_role is Role.USERS
    assert kinds() == ["sso.set_up"]


def test_creating_a_connection_is_idempotent(
    connection: Connection, by: Actor, now: datetime
) -> None:
    before = kinds()
    again = connections.set_up(account=connection.account, by=by, at=now)
    assert again == connection
    assert kinds() == before


# --- The provider ---


def test_provider_is_kept_with_its_certificate(connection: Connection) -> None:
    assert (connection.entity_id, connection.sso_url) == (ENTITY_ID, SIGN_IN)
    [certificate] = connection.certificates.all()
    assert certificate.pem == key().certificate
    [event] = AuditEvent.objects.filter(kind="sso.provider_changed")
    assert event.details == {"entity_id": ENTITY_ID, "certificates": 1}
    assert event.account == connection.account


def test_importing_the_same_metadata_is_idempotent(
    connection: Connection, by: Actor, now: datetime
) -> None:
    before = kinds()
    connections.set_provider(connection=connection, metadata=parsed_metadata(), by=by, at=now)
    assert kinds() == before
    assert reread(connection).is_on


@pytest.mark.parametrize(
    ("name_of_key", "facts"),
    [
        ("idp.example.com", {"entity_id": "https://other.example.com"}),
        ("idp.example.com", {"sign_in": "https://other.example.com/sso"}),
        ("next", {}),
    ],
    ids=["entity id", "sign-in address", "certificate"],
)
def test_another_provider_is_switched_off_until_it_is_tested(
    forced: Connection, by: Actor, name_of_key: str, facts: dict[str, str], now: datetime
) -> None:
    new = parsed_metadata(key(name_of_key).certificate, **facts)
    connections.set_provider(connection=forced, metadata=new, by=by, at=now)

    after = reread(forced)
    assert (after.is_on, after.is_forced, after.tested_at) == (False, False, None)
    assert kinds()[-2:] == ["sso.provider_changed", "sso.switched_off"]
    assert code_of(connections.switch_on, connection=after, by=by, at=now) == "not_ready"


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "in the metadata"])
def test_certificates_follow_one_another_while_people_sign_in(
    forced: Connection, by: Actor, keep: bool, now: datetime
) -> None:
    old, new = key().certificate, key("next").certificate
    both = parsed_metadata(new) if keep else parsed_metadata(old, new)
    connections.set_provider(
        connection=forced, metadata=both, keep_certificates=keep, by=by, at=now
    )

    after = reread(forced)
    assert {each.pem for each in after.certificates.all()} == {old, new}
    assert after.is_on
    assert after.is_forced
    assert after.tested_at is not None


def test_sign_out_address_alone_needs_no_test(forced: Connection, by: Actor, now: datetime) -> None:
    new = parsed_metadata(sign_out="https://idp.example.com/bye")
    connections.set_provider(connection=forced, metadata=new, by=by, at=now)
    assert reread(forced).slo_url == "https://idp.example.com/bye"
    assert reread(forced).is_on


def test_certificates_of_another_provider_are_never_kept(
    connection: Connection, by: Actor, now: datetime
) -> None:
    new = parsed_metadata(key("next").certificate, entity_id="https://other.example.com")
    connections.set_provider(
        connection=connection, metadata=new, keep_certificates=True, by=by, at=now
    )
    assert [each.pem for each in connection.certificates.all()] == [key("next").certificate]


def test_certificate_that_has_ended_is_not_kept(
    connection: Connection, by: Actor, now: datetime
) -> None:
    CertificateFactory.create(connection=connection, not_after=now - DAY)
    connections.set_provider(
        connection=connection, metadata=parsed_metadata(), keep_certificates=True, by=by, at=now
    )
    assert [each.pem for each in connection.certificates.all()] == [key().certificate]


def test_too_many_certificates_are_refused(
    connection: Connection, by: Actor, now: datetime
) -> None:
    CertificateFactory.create_batch(3, connection=connection)
    new = parsed_metadata(key("next").certificate)
    facts = {"connection": connection, "metadata": new, "keep_certificates": True}
    code = code_of(connections.set_provider, **facts, by=by, at=now)
    assert code == "too_many_certificates"


def test_another_entity_id_deletes_the_links(forced: Connection, by: Actor, now: datetime) -> None:
    other = parsed_metadata(entity_id="https://other.example.com")
    connections.set_provider(connection=forced, metadata=other, by=by, at=now)
    assert not Subject.objects.exists()


def test_another_address_of_the_same_provider_keeps_the_links(
    forced: Connection, by: Actor, now: datetime
) -> None:
    moved = parsed_metadata(sign_in="https://new.example.com/sso")
    connections.set_provider(connection=forced, metadata=moved, by=by, at=now)
    assert Subject.objects.exists()


def test_certificate_can_be_removed_beside_another(
    forced: Connection, by: Actor, now: datetime
) -> None:
    old = CertificateFactory.create(connection=forced)
    connections.remove_certificate(certificate=old, by=by, at=now)
    assert not Certificate.objects.filter(pk=old.pk).exists()
    assert reread(forced).is_on
    assert kinds()[-1] == "sso.certificate_removed"


def test_last_good_certificate_stays_while_people_sign_in(
    forced: Connection, by: Actor, now: datetime
) -> None:
    CertificateFactory.create(connection=forced, not_after=now - DAY)
    last = forced.certificates.valid_at(now).get()
    code = code_of(connections.remove_certificate, certificate=last, by=by, at=now)
    assert code == "last_certificate"
    assert Certificate.objects.filter(pk=last.pk).exists()


def test_without_certificates_a_test_counts_no_more(
    connection: Connection, by: Actor, now: datetime
) -> None:
    connections.switch_off(connection=connection, by=by, at=now)
    connections.remove_certificate(certificate=connection.certificates.get(), by=by, at=now)
    assert reread(connection).tested_at is None


def test_certificate_of_another_account_is_out_of_reach(
    connection: Connection, stranger: Membership, now: datetime
) -> None:
    certificate = connection.certificates.get()
    with pytest.raises(PermissionDenied):
        connections.remove_certificate(certificate=certificate, by=Actor.member(stranger), at=now)


# --- The settings ---


def test_settings_are_kept_and_on_the_record(
    connection: Connection, by: Actor, now: datetime
) -> None:
    connections.change_settings(connection=connection, **SETTINGS, by=by, at=now)

    after = reread(connection)
    assert {name: getattr(after, name) for name in SETTINGS} == SETTINGS
    [event] = AuditEvent.objects.filter(kind="sso.settings_changed")
    assert event.details == {
        "name": "Company directory",
        "email_attribute": "mail",
        "name_attribute": "displayName",
        "takes_new_people": True,
    }


@pytest.mark.parametrize("field", ["name", "email_attribute", "name_attribute", "role_attribute"])
def test_settings_that_hold_a_token_are_refused(
    connection: Connection, by: Actor, now: datetime, field: str
) -> None:
    token = keys.make(730114528).spell("_")
    with pytest.raises(ValidationError) as refused:
        connections.change_settings(
            connection=connection, **{**SETTINGS, field: token}, by=by, at=now
        )
    assert refused.value.error_dict[field][0].code == "token"


def test_changing_settings_is_idempotent(connection: Connection, by: Actor, now: datetime) -> None:
    for _ in range(2):
        connections.change_settings(connection=connection, **SETTINGS, by=by, at=now)
    assert kinds().count("sso.settings_changed") == 1


def test_what_is_switched_off_is_on_the_record_too(
    connection: Connection, by: Actor, now: datetime
) -> None:
    connections.change_settings(connection=connection, **SETTINGS, by=by, at=now)
    off = {**SETTINGS, "takes_new_people": False}
    connections.change_settings(connection=connection, **off, by=by, at=now)
    _on, event = AuditEvent.objects.filter(kind="sso.settings_changed").order_by("pk")
    assert event.details == {"takes_new_people": "-"}


def test_new_people_are_administrators_only_if_that_is_chosen_too(
    connection: Connection, by: Actor, now: datetime
) -> None:
    wish = {**SETTINGS, "default_role": Role.ADMINISTRATORS}
    facts: dict[str, Any] = {"connection": connection, "by": by, "at": now}
    assert code_of(connections.change_settings, **facts, **wish) == "administrators"
    assert reread(connection).given_role is Role.USERS

    connections.change_settings(**facts, **{**wish, "may_make_administrators": True})
    assert reread(connection).given_role is Role.ADMINISTRATORS


@pytest.mark.parametrize("name", ["", "   ", "two\nlines", "x" * 151])
def test_name_must_be_one(connection: Connection, by: Actor, name: str, now: datetime) -> None:
    with pytest.raises(ValidationError) as refusal:
        connections.change_settings(
            connection=connection, **{**SETTINGS, "name": name}, by=by, at=now
        )
    assert list(refusal.value.error_dict) == ["name"]


# --- Switching on ---


def test_untested_connection_is_not_switched_on(
    administrator: Membership, by: Actor, now: datetime
) -> None:
    made = connections.set_up(account=administrator.account, by=by, at=now)
    facts: dict[str, Any] = {"connection": made, "by": by, "at": now}
    assert code_of(connections.switch_on, **facts) == "not_ready"
    connections.set_provider(metadata=parsed_metadata(), **facts)
    assert code_of(connections.switch_on, **facts) == "not_ready"
    assert not reread(made).is_on


def test_connection_is_not_switched_on_once_its_certificates_have_ended(
    connection: Connection, by: Actor, now: datetime
) -> None:
    connections.switch_off(connection=connection, by=by, at=now)
    later = now + timedelta(days=400)
    assert code_of(connections.switch_on, connection=connection, by=by, at=later) == "not_ready"


def test_test_of_a_provider_that_changed_meanwhile_says_nothing(
    connection: Connection, by: Actor, now: datetime
) -> None:
    walked = reread(connection)
    other = parsed_metadata(sign_in="https://other.example.com/sso")
    connections.set_provider(connection=connection, metadata=other, by=by, at=now)
    assert not connections.record_dry_run(connection=walked, by=by, at=now)
    assert reread(connection).tested_at is None


def test_provider_that_nobody_knows_is_not_tested(
    administrator: Membership, by: Actor, now: datetime
) -> None:
    made = connections.set_up(account=administrator.account, by=by, at=now)
    assert not connections.record_dry_run(connection=made, by=by, at=now)


def test_switching_on_is_idempotent(connection: Connection, by: Actor, now: datetime) -> None:
    connections.switch_on(connection=connection, by=by, at=now)
    assert kinds().count("sso.switched_on") == 1


@pytest.mark.parametrize("who", ["administrator", "operator"])
def test_switching_off_ends_forcing_too(
    forced: Connection, by: Actor, who: str, now: datetime
) -> None:
    actor = OPERATOR if who == "operator" else by
    assert connections.switch_off(connection=forced, by=actor, at=now)
    assert (reread(forced).is_on, reread(forced).is_forced) == (False, False)
    assert not connections.switch_off(connection=forced, by=actor, at=now)


# --- Forcing ---


def test_forced_connection_is_on_the_record(forced: Connection) -> None:
    assert forced.is_forced
    assert kinds()[-1] == "sso.forced"


def lacks_domain(connection: Connection, by: Actor) -> None:
    Domain.objects.all().delete()


def lacks_approval(connection: Connection, by: Actor) -> None:
    Domain.objects.update(approved_at=None)


def never_came_through(connection: Connection, by: Actor) -> None:
    Subject.objects.all().delete()


def somebody_else_came_through(connection: Connection, by: Actor) -> None:
    other = MembershipFactory.create(account=connection.account)
    Subject.objects.update(membership=other)


def is_off(connection: Connection, by: Actor) -> None:
    connections.switch_off(connection=connection, by=by, at=datetime.now(UTC))


def has_no_good_certificate(connection: Connection, by: Actor) -> None:
    Certificate.objects.update(not_after=datetime.now(UTC) - DAY)


@pytest.mark.parametrize(
    "trouble",
    [
        lacks_domain,
        lacks_approval,
        never_came_through,
        somebody_else_came_through,
        is_off,
        has_no_good_certificate,
    ],
)
def test_forcing_is_refused_when_somebody_could_not_sign_in_then(
    forced: Connection, by: Actor, trouble: Callable[[Connection, Actor], None], now: datetime
) -> None:
    connections.stop_forcing(connection=forced, by=by, at=now)
    trouble(forced, by)
    assert code_of(connections.force, connection=forced, by=by, at=now) == "not_ready"
    assert not reread(forced).is_forced


@pytest.mark.parametrize("who", ["administrator", "operator"])
def test_forcing_can_be_stopped(forced: Connection, by: Actor, who: str, now: datetime) -> None:
    actor = OPERATOR if who == "operator" else by
    assert connections.stop_forcing(connection=forced, by=actor, at=now)
    assert not reread(forced).is_forced
    assert reread(forced).is_on
    assert kinds()[-1] == "sso.enforcement_disabled"
    assert not connections.stop_forcing(connection=forced, by=actor, at=now)


# --- Removing ---


def test_removed_connection_leaves_the_people(
    forced: Connection, by: Actor, administrator: Membership, now: datetime
) -> None:
    connections.switch_off(connection=forced, by=by, at=now)
    connections.remove(connection=forced, by=by, at=now)

    assert not Connection.objects.exists()
    assert not Subject.objects.exists()
    assert Membership.objects.present().filter(pk=administrator.pk).exists()
    assert kinds()[-1] == "sso.removed"


def test_connection_that_is_on_is_not_removed(
    connection: Connection, by: Actor, now: datetime
) -> None:
    assert code_of(connections.remove, connection=connection, by=by, at=now) == "is_on"


# --- What the database refuses by itself ---


@pytest.mark.both
@pytest.mark.parametrize(
    "row",
    [
        {"is_on": False, "is_forced": True},
        {"tested_at": None},
        {"entity_id": ""},
        {"default_role": Role.ADMINISTRATORS},
        {"default_role": 77},
    ],
    ids=["forced and off", "on and untested", "tested and unknown", "administrators", "role"],
)
def test_impossible_connections_are_refused_by_the_database(row: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ConnectionFactory.create(**row)
