"""Reauthentication at the provider."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from sso.models import Connection, UsedAssertion
from tests.factories import PASSWORD, MembershipFactory
from tests.idp.keys import SigningKey
from tests.sso import login_steps
from tests.sso.saml_responses import BOTH

pytestmark = pytest.mark.django_db

DANGEROUS = "/profile/security/app/"


@pytest.fixture
def maria(trusted: Connection) -> Membership:
    """She has a password, too."""
    return MembershipFactory.create(
        account=trusted.account, user__email="maria@example.com", role=Role.ADMINISTRATORS
    )


@pytest.fixture
def newcomer(client: Client, trusted: Connection, signing: SigningKey) -> Membership:
    """A user who has just signed in by SSO, and has no password."""
    login_steps.sign_in(client, trusted, signing, name_id="otto-11", email="otto@example.com")
    return Membership.objects.get(user__email="otto@example.com")


def ask_again(client: Client, wanted: str = DANGEROUS) -> str:
    answer = client.get(reverse("sso:ask_again"), {"next": wanted})
    assert answer.status_code == 302
    return str(answer["Location"])


def test_dangerous_act_sends_sso_users_to_the_provider(
    client: Client, newcomer: Membership
) -> None:
    answer = client.get(DANGEROUS)

    assert answer["Location"].startswith(reverse("sso:again"))
    page = client.get(answer["Location"]).content.decode()
    assert reverse("sso:ask_again") in page


def test_provider_must_authenticate_anew(client: Client, newcomer: Membership) -> None:
    assert login_steps.decode_request(ask_again(client)).get("ForceAuthn") == "true"


def test_reauthenticated_user_may_continue(
    client: Client, trusted: Connection, signing: SigningKey, newcomer: Membership
) -> None:
    back = login_steps.complete_login(
        client, trusted, signing, ask_again(client), name_id="otto-11", email="otto@example.com"
    )

    onwards = client.get(back["Location"])
    assert onwards["Location"] == DANGEROUS
    assert client.get(DANGEROUS).status_code == 200


def test_form_that_was_interrupted_is_sent_then(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, trusted, signing)
    other = MembershipFactory.create(account=trusted.account, role=Role.USERS)
    path = reverse("accounts:remove", args=[other.account_id, other.user_id])
    interrupted = client.post(path)
    assert interrupted["Location"].startswith(reverse("sso:again"))

    back = login_steps.complete_login(client, trusted, signing, ask_again(client, path))
    client.get(back["Location"])

    other.refresh_from_db()
    assert other.is_removed


def test_sign_in_of_before_is_not_enough(
    client: Client, trusted: Connection, signing: SigningKey, newcomer: Membership
) -> None:
    """An old AuthnInstant means that the provider has not authenticated the user anew."""
    page = login_steps.complete_login(
        client,
        trusted,
        signing,
        ask_again(client),
        name_id="otto-11",
        authenticated_at=datetime.now(UTC) - timedelta(minutes=10),
    )

    assert page.status_code == 400
    assert AuditEvent.objects.get(kind="sso.refused").details["code"] == "not_fresh"
    assert client.get(DANGEROUS).status_code == 302


def test_unsigned_response_is_not_enough_where_it_was_signed_in_the_test(
    client: Client, trusted: Connection, signing: SigningKey, newcomer: Membership
) -> None:
    Connection.objects.update(signs_messages=True)

    refused = login_steps.complete_login(
        client,
        trusted,
        signing,
        ask_again(client),
        signed=BOTH[:1],
        name_id="otto-11",
        email="otto@example.com",
    )

    assert refused.status_code == 400
    assert client.get(DANGEROUS).status_code == 302


def test_assertion_that_was_used_is_not_enough(
    client: Client, trusted: Connection, signing: SigningKey, newcomer: Membership
) -> None:
    address, until = ask_again(client), datetime.now(UTC) + timedelta(minutes=5)
    used = f"_a{login_steps.decode_request(address).get('ID')}"
    UsedAssertion.objects.create(connection=trusted, assertion_id=used, forget_at=until)

    refused = login_steps.complete_login(client, trusted, signing, address, name_id="otto-11")

    assert refused.status_code == 400
    assert AuditEvent.objects.get(kind="sso.refused").details["code"] == "replayed"
    assert client.get(DANGEROUS).status_code == 302


def test_somebody_else_cannot_show_it(
    client: Client,
    trusted: Connection,
    signing: SigningKey,
    maria: Membership,
    newcomer: Membership,
) -> None:
    login_steps.sign_in(Client(), trusted, signing)

    page = login_steps.complete_login(client, trusted, signing, ask_again(client))

    assert page.status_code == 400
    assert AuditEvent.objects.get(kind="sso.refused").details["code"] == "other_person"
    assert client.session["_auth_user_id"] == str(newcomer.user_id)


def test_who_has_a_password_may_use_that_too(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, trusted, signing)

    page = client.get(client.get(DANGEROUS)["Location"]).content.decode()

    assert "Use your password" in page


def test_password_is_not_offered_where_single_sign_on_is_forced(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    Connection.objects.update(is_forced=True)
    login_steps.sign_in(client, trusted, signing)

    page = client.get(client.get(DANGEROUS)["Location"]).content.decode()

    assert "Use your password" not in page


def test_who_signed_in_by_password_is_asked_for_it(
    client: Client, trusted: Connection, maria: Membership
) -> None:
    client.force_login(maria.user)

    assert client.get(DANGEROUS)["Location"].startswith(reverse("account_reauthenticate"))
    assert client.get(reverse("sso:again")).status_code == 404


@pytest.mark.parametrize("is_forced", [True, False])
def test_password_proves_nothing_where_single_sign_on_is_forced(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership, is_forced: bool
) -> None:
    """Also if it is sent to the page for it, to which no link leads."""
    login_steps.sign_in(client, trusted, signing)
    Connection.objects.update(is_forced=is_forced)
    page = reverse("mfa_activate_totp")

    client.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": page})

    assert (client.get(page).status_code == 302) is is_forced


@pytest.mark.parametrize("is_forced", [True, False])
def test_password_of_the_sign_in_proves_nothing_once_single_sign_on_is_forced(
    client: Client, trusted: Connection, maria: Membership, is_forced: bool
) -> None:
    """A session goes on when the rule begins; what it has proved does not."""
    client.post(reverse("account_login"), {"login": maria.user.email, "password": PASSWORD})
    Connection.objects.update(is_forced=is_forced)

    assert (client.get(DANGEROUS).status_code == 302) is is_forced
