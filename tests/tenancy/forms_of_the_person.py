"""The form of every route whose address names no account, sent by a person with two of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import Membership, ServiceAccount
from accounts.roles import Role
from accounts.service_accounts import contacts
from accounts.sign_in import email_change
from notifications.kinds import TOKEN_EXPIRING
from notifications.preferences import unsubscribe
from notifications.recipients import Person
from tests.accounts.sign_in.passkeys import Passkey
from tests.accounts.sign_in.test_mfa import code_at, give_app
from tests.accounts.sign_in.test_passkeys import challenge_of
from tests.factories import PASSWORD, MembershipFactory
from tests.outbox import mail_to, path_in
from tests.tenancy.two_accounts import Side

NEW_PASSWORD = "another long pass phrase"
Prepare = Callable[[Side, Client], Any]


@dataclass(frozen=True)
class PersonalForm:
    """What makes it good, its address, its fields, and what comes of it."""

    fields: Callable[[Side, Client, Any], dict[str, Any]] = lambda _side, _browser, _made: {}
    """Gets what `prepare` has made."""
    prepare: Prepare = lambda _side, _browser: None
    address: Callable[[Side, Client, Any], str] | None = None
    outcome: str = "go"
    writes: bool = True
    changes_account: bool = False
    """Whether it changes the first account, of which the link is."""


def sends(**fields: str) -> Callable[[Side, Client, Any], dict[str, Any]]:
    return lambda _side, _browser, _made: fields


def made_address(_side: Side, _browser: Client, made: Any) -> str:
    return str(made)


def _app(side: Side, _browser: Client) -> Any:
    return give_app(side.person.user)


def _code(_side: Side, _browser: Client, _made: Any) -> dict[str, Any]:
    return {"code": code_at(timezone.now())}


def _shown_secret(_side: Side, browser: Client) -> str:
    page = browser.get(reverse("mfa_activate_totp"))
    return str(page.context["form"].secret)


def _passkey(side: Side, browser: Client) -> tuple[Authenticator, Passkey]:
    page, key = reverse("mfa_add_webauthn"), Passkey(side.person.user)
    browser.get(page)
    made = key.made(challenge_of(browser))
    assert browser.post(page, {"name": "Key", "credential": made}).status_code == 302
    found = Authenticator.objects.get(user=side.person.user, type=Authenticator.Type.WEBAUTHN)
    return found, key


def _to_be_made(side: Side, browser: Client) -> str:
    browser.get(reverse("mfa_add_webauthn"))
    return Passkey(side.person.user).made(challenge_of(browser))


def _answer(side: Side, browser: Client) -> str:
    _row, key = _passkey(side, browser)
    browser.get(reverse("mfa_reauthenticate_webauthn"))
    return key.answer(challenge_of(browser))


def _of_passkey(name: str) -> Callable[[Side, Client, Any], str]:
    return lambda _side, _browser, made: reverse(name, args=[made[0].pk])


def _no_password(side: Side, browser: Client) -> None:
    user = side.person.user
    user.set_unusable_password()
    user.save()
    browser.force_login(user)


def _unconfirmed(side: Side, _browser: Client) -> str:
    address = EmailAddress.objects.get(user=side.person.user)
    EmailAddress.objects.filter(pk=address.pk).update(verified=False)
    key = EmailConfirmationHMAC(address).key
    return reverse("account_confirm_email", args=[key])


def _forgotten(side: Side, browser: Client) -> str:
    browser.post(reverse("account_reset_password"), {"email": side.person.user.email})
    return str(browser.get(path_in(mail_to(side.person.user.email)))["Location"])


def _other_session(side: Side, _browser: Client) -> str:
    other = Client()
    other.force_login(side.person.user)
    session = UserSession.objects.create(
        user=side.person.user, session_key=other.session.session_key, ip="192.0.2.1",
        user_agent="Other",
    )  # fmt: skip
    return reverse("accounts:end_session", args=[session.pk])


def _invited_elsewhere(side: Side, _browser: Client) -> str:
    inviter: Membership = MembershipFactory.create(account__name="Initech")
    user = side.person.user
    invitations.invite(
        account=inviter.account, email=user.email, role=Role.USERS, by=Actor.member(inviter),
        at=timezone.now(),
    )  # fmt: skip
    return path_in(mail_to(user.email))


def _asked_contact(side: Side, _browser: Client) -> str:
    ServiceAccount.objects.filter(pk=side.service.pk).update(contact_email="ops@example.com")
    side.service.refresh_from_db()
    return contacts.path(side.service)


def _unsubscribing(side: Side, _browser: Client) -> str:
    person = Person(side.person.user_id, side.account.pk)
    email = side.person.user.email
    return urlsplit(unsubscribe.link(person, TOKEN_EXPIRING, email=email)).path


NOTHING = PersonalForm(sends(), writes=False)
"""Of who is signed in and has what the route gives: it leads on."""

PERSONAL_FORMS = {
    "account_login": PersonalForm(sends(login="a@example.com", password=PASSWORD), writes=False),
    "account_signup": PersonalForm(
        sends(account_name="Initech", email="new@example.com", password1=NEW_PASSWORD),
        writes=False,
    ),
    "mfa_login_webauthn": NOTHING,
    "mfa_authenticate": NOTHING,
    "mfa_list_webauthn": NOTHING,
    "accounts:new_account": PersonalForm(sends(name="Initech"), writes=False),
    "account_reauthenticate": PersonalForm(sends(password=PASSWORD)),
    "mfa_reauthenticate": PersonalForm(_code, _app),
    "mfa_reauthenticate_webauthn": PersonalForm(
        lambda _side, _browser, made: {"credential": made}, _answer
    ),
    "account_logout": PersonalForm(outcome="in"),
    "account_confirm_email": PersonalForm(prepare=_unconfirmed, address=made_address),
    "account_reset_password": PersonalForm(
        lambda side, _browser, _made: {"email": side.person.user.email}
    ),
    "account_reset_password_from_key": PersonalForm(
        sends(password1=NEW_PASSWORD, password2=NEW_PASSWORD), _forgotten, made_address
    ),
    "account_change_password": PersonalForm(
        sends(oldpassword=PASSWORD, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    ),
    "account_set_password": PersonalForm(
        sends(password1=NEW_PASSWORD, password2=NEW_PASSWORD), _no_password
    ),
    "mfa_activate_totp": PersonalForm(
        lambda _side, _browser, made: {"code": code_at(timezone.now(), made)}, _shown_secret
    ),
    "mfa_deactivate_totp": PersonalForm(prepare=_app),
    "mfa_generate_recovery_codes": PersonalForm(prepare=_app),
    "mfa_add_webauthn": PersonalForm(
        lambda _side, _browser, made: {"name": "Key", "credential": made}, _to_be_made
    ),
    "mfa_edit_webauthn": PersonalForm(
        sends(name="Renamed"), _passkey, _of_passkey("mfa_edit_webauthn")
    ),
    "mfa_remove_webauthn": PersonalForm(
        prepare=_passkey, address=_of_passkey("mfa_remove_webauthn")
    ),
    "accounts:theme": PersonalForm(sends(theme="dark"), writes=False),
    "accounts:language": PersonalForm(sends(language="de"), writes=False),
    "accounts:profile": PersonalForm(
        sends(name="Renamed", phone="", language="en", time_zone="Europe/Berlin")
    ),
    "accounts:change_email": PersonalForm(sends(email="new@example.com"), outcome="200"),
    "accounts:confirm_email": PersonalForm(
        prepare=lambda side, _browser: email_change.path(side.person.user, "new@example.com"),
        address=made_address,
    ),
    "accounts:end_sessions": PersonalForm(prepare=_other_session),
    "accounts:end_session": PersonalForm(prepare=_other_session, address=made_address),
    "accounts:invitation": PersonalForm(prepare=_invited_elsewhere, address=made_address),
    "accounts:answer_contact": PersonalForm(
        sends(answer="yes"), _asked_contact, made_address, outcome="200", changes_account=True
    ),
    "notifications:unsubscribe": PersonalForm(
        prepare=_unsubscribing, address=made_address, outcome="200", changes_account=True
    ),
}
"""A new route is refused until it is here."""
