"""No entry point takes an address or a sentence for a name, and one of before harms nobody."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Role
from accounts.sign_in import emails as security_emails
from accounts.sign_in import registration
from accounts.users import services as user_services
from tests.conftest import Issue, SignIn
from tests.factories import PASSWORD
from tests.outbox import mails_to

pytestmark = pytest.mark.django_db

ATTACKS = [
    "PayPal security: your account is locked, sign in at https://evil.example/",
    "Sign in at evil.example",
    "PayPal security: your account is locked",
]
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
ANYBODY = Actor(through=EntryPoint.PORTAL)
every_attack = pytest.mark.parametrize("attack", ATTACKS)


def doors(member: Membership, attack: str, now: datetime) -> dict[str, Callable[[], object]]:
    """The services that take a name, of an account or of a person."""
    me = Actor.member(member)
    sign_up: dict[str, Any] = {
        "email": "ann@example.com",
        "password": PASSWORD,
        "by": ANYBODY,
        "at": now,
    }
    invite: dict[str, Any] = {
        "account": member.account,
        "email": "bob@example.com",
        "role": Role.USERS,
    }
    profile: dict[str, Any] = {"time_zone": "UTC", "language": "en", "phone": ""}
    return {
        "account of a sign-up": lambda: registration.sign_up(account_name=attack, **sign_up),
        "person of a sign-up": lambda: registration.sign_up(
            account_name="Globex", name=attack, **sign_up
        ),
        "account that is opened": lambda: account_services.open_account(
            name=attack, by=OPERATOR, at=now
        ),
        "account that is renamed": lambda: account_services.rename_account(
            account=member.account, name=attack, by=me, at=now
        ),
        "person who is invited": lambda: invitations.invite(name=attack, by=me, at=now, **invite),
        "person who is created": lambda: user_services.create_user(
            email="ann@example.com", password=None, name=attack, by=OPERATOR, at=now
        ),
        "profile": lambda: user_services.change_profile(
            user=member.user, name=attack, by=Actor.person(member.user), at=now, **profile
        ),
    }


DOORS = (
    *("account of a sign-up", "person of a sign-up", "account that is opened"),
    *("account that is renamed", "person who is invited", "person who is created", "profile"),
)


@every_attack
@pytest.mark.parametrize("door", DOORS)
def test_service_refuses_it(
    administrator: Membership, now: datetime, door: str, attack: str
) -> None:
    with pytest.raises(ValidationError):
        doors(administrator, attack, now)[door]()

    assert not Account.objects.filter(name=attack).exists()
    assert not User.objects.filter(name=attack).exists()
    assert not Invitation.objects.exists()


@every_attack
def test_page_of_sign_up_says_what_to_do(client: Client, attack: str) -> None:
    form = {"account_name": attack, "email": "ann@example.com", "password1": PASSWORD}

    page = client.post(reverse("account_signup"), form)

    assert not User.objects.exists()
    assert "Enter a name" in page.content.decode()


def test_api_refuses_it(administrator: Membership, api: Any, issue: Issue) -> None:
    client: APIClient = api(issue(administrator, role=Role.ADMINISTRATORS).key)
    path = reverse("api-user", args=[administrator.user_id])

    assert client.patch(path, {"name": ATTACKS[0]}, format="json").status_code == 400


# --- Names of before -----------------------------------------------------------------------------


@pytest.fixture
def named(administrator: Membership) -> Membership:
    """An Administrator who is called as nobody could be today, of such an account."""
    User.objects.filter(pk=administrator.user_id).update(name=ATTACKS[1])
    Account.objects.filter(pk=administrator.account_id).update(name=ATTACKS[0])
    administrator.refresh_from_db()
    return administrator


def test_operator_closes_such_an_account(named: Membership, now: datetime) -> None:
    account_services.change_token_limit(account=named.account, limit=7, by=OPERATOR, at=now)
    account_services.close_account(account=named.account, by=OPERATOR, at=now)

    named.account.refresh_from_db()
    assert (named.account.token_limit, named.account.closed_at) == (7, now)


def test_person_keeps_the_name_while_the_rest_changes(
    client: Client, named: Membership, sign_in: SignIn
) -> None:
    sign_in(client, named)
    form = {"name": ATTACKS[1], "phone": "", "language": "en", "time_zone": "Europe/Berlin"}

    assert client.post(reverse("accounts:profile"), form).status_code == 302

    named.user.refresh_from_db()
    assert named.user.time_zone == "Europe/Berlin"


def test_browser_is_named_by_us_and_leads_nowhere(administrator: Membership, now: datetime) -> None:
    """What it calls itself is the choice of the person in front of it."""
    for browser in ("Mozilla/5.0 (X11; Linux) Firefox/140.0", "https://evil.example/"):
        security_emails.send_security_email(
            user=administrator.user, event="password_changed", at=now, browser=browser
        )

    texts = [mail.text for mail in mails_to(administrator.user.email)]

    assert ["Browser: Firefox on Linux" in text for text in texts].count(True) == 1
    assert ["https[:]//evil[.]example" in text for text in texts].count(True) == 1
