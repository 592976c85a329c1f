"""What operators do about single sign-on: answer for domains, look, and take back."""

from typing import Any

import pytest
from django.core.management import CommandError
from django.test import Client
from django.urls import NoReverseMatch, reverse

from accounts.models import Account, Membership, User
from sso.models import Connection, Domain
from tests.conftest import SignIn
from tests.factories import CertificateFactory, ConnectionFactory, DomainFactory
from tests.operators.conftest import Events, page, selected, shown
from tests.operators.test_commands import run
from tests.operators.test_lists import lists_in

DOMAINS, CONNECTIONS = "sso_domain_changelist", "sso_connection_changelist"


@pytest.fixture
def connection(account: Account) -> Connection:
    """Switched on, and forced."""
    made = ConnectionFactory.create(account=account, is_forced=True, name="Company directory")
    CertificateFactory.create(connection=made)
    return made


@pytest.fixture
def domain(connection: Connection) -> Domain:
    """A domain that the account waits for."""
    return DomainFactory.create(connection=connection, name="example.com", approved_at=None)


def choose(client: Client, name: str, action: str, *rows: Any) -> str:
    fields = selected(client, name, *rows)
    answer = client.post(page(name), {**fields, "action": action}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_domain_is_approved_on_the_record(
    browser: Client, domain: Domain, operator: User, events: Events
) -> None:
    assert "Done. (example.com)" in choose(browser, DOMAINS, "approve", domain)
    domain.refresh_from_db()
    assert domain.approved_by == operator
    assert [event.user for event in events("sso.domain_approved")] == [operator]


def test_domain_is_refused_on_the_record(
    browser: Client, domain: Domain, operator: User, events: Events
) -> None:
    choose(browser, DOMAINS, "refuse", domain)
    domain.refresh_from_db()
    assert domain.refused_at
    assert [event.user for event in events("sso.domain_refused")] == [operator]


def test_domain_of_two_accounts_is_approved_for_one(browser: Client, domain: Domain) -> None:
    other = DomainFactory.create(name="example.com", approved_at=None)
    told = choose(browser, DOMAINS, "approve", other, domain)
    assert "This domain belongs to another account" in told
    assert Domain.objects.filter(approved_at__isnull=False).count() == 1


def test_list_shows_who_waits(browser: Client, domain: Domain) -> None:
    DomainFactory.create(name="approved.example")
    waiting = shown(browser, page(DOMAINS), state="waiting")
    assert "example.com" in waiting
    assert "approved.example" not in waiting
    assert "approved.example" in shown(browser, page(DOMAINS), state="approved")
    assert "approved.example" not in shown(browser, page(DOMAINS), state="refused")


def test_list_of_domains_can_be_narrowed_to_an_account(browser: Client, domain: Domain) -> None:
    DomainFactory.create(name="other.example")
    narrow = shown(browser, page(DOMAINS), account=domain.connection.account_id)
    assert "example.com" in narrow
    assert "other.example" not in narrow


def test_domain_can_be_looked_at(browser: Client, domain: Domain) -> None:
    assert "example.com" in shown(browser, page("sso_domain_change", domain.pk))


@pytest.mark.parametrize("name", ["sso_domain", "sso_connection"])
def test_rows_are_not_made_changed_or_deleted_around_the_verbs(
    browser: Client, domain: Domain, name: str
) -> None:
    row = domain if name == "sso_domain" else domain.connection
    assert browser.get(page(f"{name}_add")).status_code == 403
    assert browser.post(page(f"{name}_change", row.pk), {"name": "evil.example"}).status_code == 403
    assert browser.post(page(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403
    row.refresh_from_db()
    assert row.name != "evil.example"


def test_connection_can_be_looked_at(browser: Client, connection: Connection) -> None:
    text = shown(browser, page("sso_connection_change", connection.pk))
    assert connection.entity_id in text
    assert connection.certificates.get().fingerprint in text
    assert "Company directory" in shown(browser, page(CONNECTIONS))


def test_connection_leads_to_what_else_is_the_accounts(
    browser: Client, connection: Connection, domain: Domain
) -> None:
    text = shown(browser, page("sso_connection_change", connection.pk))
    addresses = lists_in(text)
    assert len(addresses) == 3
    for address in addresses:
        assert browser.get(address).status_code == 200, address


def test_forcing_is_stopped_on_the_record(
    browser: Client, connection: Connection, operator: User, events: Events
) -> None:
    choose(browser, CONNECTIONS, "stop_forcing", connection)
    connection.refresh_from_db()
    assert (connection.is_on, connection.is_forced) == (True, False)
    assert [event.user for event in events("sso.enforcement_disabled")] == [operator]
    assert "No change was needed" in choose(browser, CONNECTIONS, "stop_forcing", connection)


def test_single_sign_on_is_switched_off(browser: Client, connection: Connection) -> None:
    choose(browser, CONNECTIONS, "switch_off", connection)
    connection.refresh_from_db()
    assert (connection.is_on, connection.is_forced) == (False, False)


@pytest.mark.parametrize("name", [DOMAINS, CONNECTIONS])
def test_administrators_of_accounts_are_no_operators(
    client: Client, administrator: Membership, sign_in: SignIn, name: str
) -> None:
    sign_in(client, administrator)
    assert client.get(page(name)).status_code in (302, 403)


@pytest.mark.parametrize("model", ["socialapp", "socialaccount", "socialtoken"])
def test_rows_of_the_library_have_no_pages(model: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(f"admin:socialaccount_{model}_changelist")


# --- The command line ---


def test_command_stops_forcing(connection: Connection, events: Events) -> None:
    printed = run("stop_forcing_sso", connection.account_id)
    connection.refresh_from_db()
    assert "can use their passwords again" in printed.out
    assert (connection.is_on, connection.is_forced) == (True, False)
    assert [event.through for event in events("sso.enforcement_disabled")] == ["command"]


def test_command_finds_the_account_by_name(connection: Connection) -> None:
    run("stop_forcing_sso", connection.account.name)
    assert "Nothing was changed" in run("stop_forcing_sso", connection.account.name).out


@pytest.mark.django_db
def test_command_says_what_it_does_not_find(account: Account) -> None:
    with pytest.raises(CommandError, match="has no single sign-on"):
        run("stop_forcing_sso", account.pk)
    with pytest.raises(CommandError, match="There is no account"):
        run("stop_forcing_sso", "Nobody Inc.")
