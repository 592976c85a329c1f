"""Access to the Django admin, and tables that are not in it."""

from django.contrib import admin
from django.test import Client
from django.urls import reverse
from pytest_django.asserts import assertRedirects

from accounts.models import Account, AuditEvent, Invitation, Membership, User
from apitokens.models import APIToken, Service, VerifierKey
from notifications.models import Mail
from sso.models import Connection, Domain
from tests.conftest import SignIn
from tests.factories import PASSWORD
from tests.operators.conftest import page, shown

NEW_PASSWORD = "another long pass phrase"


def test_operator_sees_the_branded_index(browser: Client) -> None:
    assert "Permatoken operators" in shown(browser, page("index"))


def test_stranger_is_sent_to_the_one_sign_in_page(client: Client, db: None) -> None:
    answer = client.get(page("apitokens_apitoken_changelist"), follow=True)

    assert answer.redirect_chain[-1][0].startswith(reverse("account_login"))


def test_operator_arrives_at_the_page_they_asked_for(client: Client, operator: User) -> None:
    wanted = page("apitokens_apitoken_changelist")
    sign_in = client.get(wanted, follow=True).redirect_chain[-1][0]

    answer = client.post(sign_in, {"login": operator.email, "password": PASSWORD})

    assert answer["Location"] == wanted


def test_sign_in_goes_on_to_no_foreign_address(client: Client, operator: User) -> None:
    login = f"{page('login')}?next=https://evil.example/"
    sign_in = client.get(login, follow=True).redirect_chain[-1][0]

    answer = client.post(sign_in, {"login": operator.email, "password": PASSWORD})

    assert answer.status_code == 302
    assert "evil.example" not in answer["Location"]


def test_administrator_of_an_account_is_no_operator(
    client: Client, administrator: Membership, sign_in: SignIn
) -> None:
    sign_in(client, administrator)

    assert client.get(page("index"), follow=True).status_code == 403


def test_only_the_products_own_tables_are_there() -> None:
    # A library's table (an e-mail address, a group) would be a way around the services.
    assert set(admin.site._registry) == {
        Account,
        APIToken,
        Service,
        AuditEvent,
        Connection,
        Domain,
        Invitation,
        Mail,
        Membership,
        User,
        VerifierKey,
    }


def test_own_password_is_changed_where_everybody_does(browser: Client) -> None:
    for address in (page("password_change"), page("password_change_done")):
        assertRedirects(browser.get(address), reverse("account_change_password"))


def test_own_password_is_not_changed_in_the_admin(browser: Client, operator: User) -> None:
    browser.post(
        page("password_change"),
        {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD},
    )

    operator.refresh_from_db()
    assert operator.check_password(PASSWORD)
