"""The ways into the portal. Each is prepared while no rule stands, and then tried.

A way is a function of the `World` that prepares what comes before (the password of two factors, a
session, a link in a mail) and returns the attempt: a function that says what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.conf import settings
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.members import services as members
from accounts.models import Membership, User
from accounts.roles import Role
from accounts.sign_in import email_change
from apitokens.verification.verifier_keys import issue_verifier
from sso.models import Connection
from tests.accounts.sign_in.passkeys import Passkey
from tests.accounts.sign_in.test_mfa import code_at, give_app
from tests.factories import PASSWORD, AccountFactory, MembershipFactory, issue, service_account
from tests.idp.keys import SigningKey
from tests.outbox import mail_to, path_in
from tests.sso import login_steps
from tests.ways_in.in_front_of_django import in_front_of_django

IN = "in"
OUT = "out"
NO_ACCOUNT = "in, but belongs to no account that is open"
SECOND_FACTOR = "has to give a second factor"

MARIA, NEW_PASSWORD = "maria@example.com", "another long pass phrase"
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)

Attempt = Callable[[], str]


@dataclass
class World:
    """Maria, an Engineer of an account whose provider is on and has approved her domain."""

    connection: Connection
    signing: SigningKey
    now: datetime
    maria: Membership = field(init=False)
    client: Client = field(default_factory=Client)

    def __post_init__(self) -> None:
        self.maria = MembershipFactory.create(
            account=self.connection.account, user__email=MARIA, role=Role.ENGINEERS
        )

    @property
    def user(self) -> User:
        return self.maria.user


# --- Ways of browsers ----------------------------------------------------------------------------


def password(world: World) -> Attempt:
    return lambda: outcome(world.client, _give_password(world))


def password_in_known_browser(world: World) -> Attempt:
    """Maria has signed in with it before the rule, and out again: it still has her cookie."""
    _give_password(world)
    world.client.post(reverse("account_logout"))
    assert settings.KNOWN_BROWSER_COOKIE_NAME in world.client.cookies
    return lambda: outcome(world.client, _give_password(world))


def passkey(world: World) -> Attempt:
    key = _add_passkey(world)
    world.client = Client()

    def act() -> str:
        page = reverse("mfa_login_webauthn")
        world.client.get(page, headers={"X-Requested-With": "XMLHttpRequest"})
        credential = key.answer(_challenge(world.client))
        return outcome(world.client, world.client.post(page, {"credential": credential}))

    return act


def second_factor(world: World) -> Attempt:
    """The password was given before the rule, the code comes after."""
    give_app(world.user)
    assert _give_password(world)["Location"] == reverse("mfa_authenticate")

    def act() -> str:
        code = code_at(datetime.now(UTC))
        answer = world.client.post(reverse("mfa_authenticate"), {"code": code})
        return outcome(world.client, answer)

    return act


def recovery_code(world: World) -> Attempt:
    """As the second factor, from a list that was printed."""
    give_app(world.user)
    codes = RecoveryCodes.activate(world.user).generate_codes()
    assert _give_password(world)["Location"] == reverse("mfa_authenticate")

    def act() -> str:
        answer = world.client.post(reverse("mfa_authenticate"), {"code": codes[0]})
        return outcome(world.client, answer)

    return act


def single_sign_on(world: World) -> Attempt:
    def act() -> str:
        begin = world.client.get(reverse("sso:begin", args=[world.connection.slug]))
        if begin.status_code == 404:  # as of an account that is closed
            return outcome(world.client)
        answer = login_steps.complete_login(
            world.client, world.connection, world.signing, begin["Location"], email=MARIA
        )
        return outcome(world.client, answer)

    return act


def open_session(world: World) -> Attempt:
    """It began by password."""
    _give_password(world)
    return lambda: outcome(world.client)


def password_session_of_14_days(world: World) -> Attempt:
    """It began by password, and has been saved now and then."""
    _give_password(world, remember="on")
    return lambda: _until_its_end(world, timedelta(days=14))


def sso_session_of_12_hours(world: World) -> Attempt:
    single_sign_on(world)()
    return lambda: _until_its_end(world, timedelta(hours=12))


def password_reset_link(world: World) -> Attempt:
    """The link was sent before the rule; the new password is tried after."""
    world.client.post(reverse("account_reset_password"), {"email": MARIA})
    link = path_in(mail_to(MARIA))

    def act() -> str:
        form = world.client.get(link)
        if form.status_code == 302:
            passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
            world.client.post(form["Location"], passwords)
        return outcome(world.client, _give_password(world, NEW_PASSWORD))

    return act


def invitation_link(world: World) -> Attempt:
    """Maria has only ever come by single sign-on, and another account invites her."""
    world.user.set_unusable_password()
    world.user.save()
    inviter = MembershipFactory.create(account=AccountFactory.create(name="Globex"))
    invitations.invite(
        account=inviter.account, email=MARIA, role=Role.USERS, by=Actor.member(inviter),
        at=world.now,
    )  # fmt: skip
    link = path_in(mail_to(MARIA))

    def act() -> str:
        form = {"name": "Maria", "password1": NEW_PASSWORD}
        return outcome(world.client, world.client.post(link, form))

    return act


def confirmation_link(world: World) -> Attempt:
    """Maria has just signed up, an operator added her, and the browser that signed up confirms."""
    members.remove_member(membership=world.maria, by=OPERATOR, at=world.now)
    User.objects.filter(pk=world.user.pk).update(email="former@example.com")
    EmailAddress.objects.filter(user=world.user).delete()
    form = {"account_name": "Globex", "email": MARIA, "password1": PASSWORD}
    world.client.post(reverse("account_signup"), form)
    link = path_in(mail_to(MARIA))
    world.maria = members.add_member(
        account=world.connection.account, user=User.objects.get(email=MARIA), role=Role.ENGINEERS,
        by=OPERATOR, at=world.now,
    )  # fmt: skip
    return lambda: outcome(world.client, world.client.post(link))


def email_change_link(world: World) -> Attempt:
    """The link was sent before the rule; the new address, of no provider, is tried after."""
    elsewhere = "maria@elsewhere.example"
    link = email_change.path(world.user, elsewhere)

    def act() -> str:
        world.client.post(link)
        return outcome(world.client, _give_password(world, login=elsewhere))

    return act


def operators_pages(world: World) -> Attempt:
    """Maria is an operator of the portal too."""
    User.objects.filter(pk=world.user.pk).update(is_staff=True, is_superuser=True)

    def act() -> str:
        answer = _give_password(world, next=reverse("admin:index"))
        came_of_it = outcome(world.client, answer)
        if came_of_it == SECOND_FACTOR:
            return came_of_it
        return IN if world.client.get(reverse("admin:index")).status_code == 200 else OUT

    return act


# --- Ways of programs ----------------------------------------------------------------------------


def jwt_login(world: World) -> Attempt:
    return lambda: in_if_ok(_log_in())


def jwt_refresh(world: World) -> Attempt:
    pair = _log_in().json()
    refresh = {"refresh": pair["refresh"]}
    return lambda: in_if_ok(APIClient().post(reverse("api-refresh"), refresh, format="json"))


def jwt_switch(world: World) -> Attempt:
    client = _bearer(_log_in().json()["access"])
    path = reverse("api-login-to-account", args=[world.maria.account_id])
    return lambda: in_if_ok(client.get(path))


def bearer(world: World) -> Attempt:
    client = _bearer(_log_in().json()["access"])
    return lambda: in_if_ok(client.get(reverse("api-my-account")))


def bearer_verified(world: World) -> Attempt:
    client = _bearer(_log_in().json()["access"])
    return lambda: in_if_ok(client.get(reverse("api-verify")))


def bearer_introspected(world: World) -> Attempt:
    return _introspection(world, _log_in().json()["access"])


def bearer_introspected_in_batch(world: World) -> Attempt:
    return _introspection_in_batch(world, _log_in().json()["access"])


def api_token(world: World) -> Attempt:
    client = _with_token(world)
    return lambda: in_if_ok(client.get(reverse("api-my-account")))


def api_token_verified(world: World) -> Attempt:
    client = _with_token(world)
    return lambda: in_if_ok(client.get(reverse("api-verify")))


def api_token_introspected(world: World) -> Attempt:
    return _introspection(world, issue(world.maria, at=world.now).key.spell())


def api_token_introspected_in_batch(world: World) -> Attempt:
    return _introspection_in_batch(world, issue(world.maria, at=world.now).key.spell())


def from_memory(way: Callable[[World], Attempt]) -> Callable[[World], Attempt]:
    """The way through what stands in front of Django, which has answered it from memory before the
    rule. (Its entries are dropped by what a rule does on commit.)"""

    def prepare(world: World) -> Attempt:
        attempt = way(world)
        for _time in range(3):
            before = in_front_of_django(attempt)
        assert before == (IN, False)
        return lambda: in_front_of_django(attempt).outcome

    return prepare


def new_token_of_service_account(world: World, version: int = 1) -> Attempt:
    """Maria may issue for it, and has an access token from before the rule."""
    client, robot = _bearer(_log_in().json()["access"]), _service_account(world)
    path = reverse(f"api-tokens-v{version}", args=[world.maria.account_id])
    token = {
        "name": "New",
        "description": "",
        "exp_date": None,
        "client_user": {"role": {"id": Role.USERS.value}},
        "issuer": robot.user_id,
    }
    return lambda: in_if_ok(client.post(path, token, format="json"))


def new_secret_of_service_account(world: World, version: int = 1) -> Attempt:
    client, robot = _bearer(_log_in().json()["access"]), _service_account(world)
    token = issue(robot, by=OPERATOR, at=world.now).token
    path = reverse(f"api-rotate-v{version}", args=[world.maria.account_id, token.pk])
    return lambda: in_if_ok(client.post(path, {}, format="json"))


WAYS: dict[str, Callable[[World], Attempt]] = {
    "password": password,
    "password in a known browser": password_in_known_browser,
    "passkey": passkey,
    "second factor": second_factor,
    "recovery code": recovery_code,
    "single sign-on": single_sign_on,
    "open session": open_session,
    "password session of 14 days": password_session_of_14_days,
    "single sign-on session of 12 hours": sso_session_of_12_hours,
    "password reset link": password_reset_link,
    "invitation link": invitation_link,
    "confirmation link": confirmation_link,
    "e-mail change link": email_change_link,
    "operators' pages": operators_pages,
    "JWT login": jwt_login,
    "JWT refresh": jwt_refresh,
    "JWT switch": jwt_switch,
    "Bearer": bearer,
    "Bearer verified": bearer_verified,
    "Bearer introspected": bearer_introspected,
    "Bearer introspected in a batch": bearer_introspected_in_batch,
    "API token": api_token,
    "API token verified": api_token_verified,
    "API token verified from memory": from_memory(api_token_verified),
    "API token introspected": api_token_introspected,
    "API token introspected from memory": from_memory(api_token_introspected),
    "API token introspected in a batch": api_token_introspected_in_batch,
    "new token of a service account": new_token_of_service_account,
    "new token of a service account, version 2": partial(new_token_of_service_account, version=2),
    "new secret of a service account": new_secret_of_service_account,
    "new secret of a service account, version 2": partial(new_secret_of_service_account, version=2),
}


# --- Steps ---------------------------------------------------------------------------------------


def outcome(client: Client, answer: Any = None) -> str:
    """What a browser is after an attempt; `answer` is that of its last step."""
    if answer is not None and answer.get("Location") == reverse("mfa_authenticate"):
        return SECOND_FACTOR
    page = client.get(reverse("home"), follow=True)
    if page.request["PATH_INFO"] == reverse("account_login"):
        return OUT
    return {200: IN, 403: NO_ACCOUNT}[page.status_code]


def _until_its_end(world: World, lifetime: timedelta) -> str:
    """What the session is just before its lifetime is over, unless it goes on afterwards, though
    something was stored in it until then."""
    for part in (0.5, 0.99):
        with time_machine.travel(world.now + part * lifetime):
            session = world.client.session
            session["account"] = 0
            session.save()
    with time_machine.travel(world.now + lifetime - timedelta(minutes=5)):
        before = outcome(world.client)
    with time_machine.travel(world.now + lifetime + timedelta(minutes=5)):
        return before if outcome(world.client) == OUT else f"{before}, and longer than it may be"


def in_if_ok(answer: Any) -> str:
    assert answer.status_code in (200, 400, 401, 403), answer.content
    return IN if answer.status_code == 200 else OUT


def _give_password(world: World, word: str = PASSWORD, **more: str) -> Any:
    form = {"login": MARIA, "password": word} | more
    return world.client.post(reverse("account_login"), form)


def _add_passkey(world: World) -> Passkey:
    client, page = Client(), reverse("mfa_add_webauthn")
    client.force_login(world.user)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    client.get(page)
    key = Passkey(world.user)
    client.post(page, {"name": "Key", "credential": key.made(_challenge(client))})
    return key


def _challenge(client: Client) -> str:
    return str(client.session["mfa.webauthn.state"]["challenge"])


def _log_in() -> Any:
    form = {"username": MARIA, "password": PASSWORD}
    return APIClient().post(reverse("api-login"), form, format="json")


def _bearer(access: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {access}"})


def _with_token(world: World) -> APIClient:
    text = issue(world.maria, at=world.now).key.spell()
    return APIClient(headers={"Authorization": f"APIKey {text}"})


def _service_account(world: World) -> Membership:
    made = service_account(world.connection.account, at=world.now, issuers=[world.maria])
    return made.membership


def _introspection(world: World, token: str) -> Attempt:
    caller = _verifier(world)

    def act() -> str:
        answer = caller.post(
            reverse("api-introspect"),
            urlencode({"token": token}),
            content_type="application/x-www-form-urlencoded",
        )
        return IN if answer.json()["active"] else OUT

    return act


def _introspection_in_batch(world: World, token: str) -> Attempt:
    caller, path = _verifier(world), reverse("api-introspect-batch")

    def act() -> str:
        (said,) = caller.post(path, [token], content_type="application/json").json()
        return IN if said["active"] else OUT

    return act


def _verifier(world: World) -> Client:
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=world.now).key.spell("_")
    return Client(headers={"Authorization": f"Bearer {verifier}"})
