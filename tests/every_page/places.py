"""The pages that the URL configuration has: who sees each of them, and where.

A new route is a page until `NO_PAGES` says why it is none. `prepare` runs beside a served portal
with the demo, and lets its first account have one of everything.
"""

import json
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.urls import reverse
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.members.services import add_member
from accounts.models import Account, AuditEvent, Membership, ServiceAccount, User
from accounts.roles import Role
from accounts.service_accounts import contacts
from accounts.sign_in import email_change
from apitokens.models import APIToken
from apitokens.scopes.services import ScopeFacts, register
from apitokens.verification.verifier_keys import issue_verifier
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS, TOKEN_EXPIRING
from notifications.models import Mail, Notice
from notifications.preferences import unsubscribe
from notifications.recipients import Person
from sso.models import Connection
from tests.accounts.sign_in.passkeys import Passkey
from tests.factories import UserFactory, issue, service_account
from tests.tenancy.expected_outcomes import EXPECTED
from tests.tenancy.fixture import TenancyFixture
from tests.tenancy.routes import Route, routes

STRANGER, ADMINISTRATOR, OPERATOR = "stranger", "administrator", "operator"
GUARDED, HALF, NEWCOMER = "guarded", "half signed in", "newcomer"
PEOPLE = (STRANGER, ADMINISTRATOR, OPERATOR, GUARDED, HALF, NEWCOMER)
"""`GUARDED` has second factors, and has shown one; `HALF` has shown none yet; `NEWCOMER` has no
account."""
EMAILS = {
    ADMINISTRATOR: "admin@example.com",
    OPERATOR: "of-the-portal@example.com",
    GUARDED: "guarded@example.com",
    HALF: "guarded@example.com",
    NEWCOMER: "newcomer@example.com",
}
PASSWORD = "permatoken-demo"
ACCOUNT_ID = 1

SPECIAL = {
    "account_logout": ADMINISTRATOR,
    "mfa_authenticate": HALF,
    "mfa_reauthenticate": GUARDED,
    "mfa_reauthenticate_webauthn": GUARDED,
    "mfa_deactivate_totp": GUARDED,
    "mfa_view_recovery_codes": GUARDED,
    "mfa_edit_webauthn": GUARDED,
    "mfa_remove_webauthn": GUARDED,
    "accounts:new_account": NEWCOMER,
}
"""Who sees these. Of all others the table of expected outcomes knows it."""

DATA = "answers with data"
ONWARDS = "leads on to another page"
NO_PAGES = {
    "home": ONWARDS,
    "in_last_account": ONWARDS,
    "mfa_list_webauthn": ONWARDS,
    "accounts:former_link": ONWARDS,
    "notifications:follow": ONWARDS,
    "apitokens:created": ONWARDS,
    "apitokens:rotated": ONWARDS,
    "sso:test": ONWARDS,
    "sso:begin": "leads to the provider",
    "sso:ask_again": "leads to the provider",
    "sso:sls": "is where a provider leads to",
    "sso:again": "only for those who came from a provider: tests/browser/test_single_sign_on.py",
    "account_set_password": "the same as changing it, for those who have none",
    "admin:logout": ONWARDS,
    "admin:password_change": ONWARDS,
    "admin:password_change_done": ONWARDS,
    "admin:view_on_site": "no row has a page of its own",
    "admin:jsi18n": DATA,
    "livez": DATA,
    "readyz": DATA,
    "healthz": DATA,
    "metrics": DATA,
    "mfa_login_webauthn": DATA,
    "sso:metadata": DATA,
    "accounts:audit_log_file": DATA,
    "accounts:find_people": DATA,
    "apitokens:list_file": DATA,
}
"""The routes that answer GET with no page of their own, and what they do. Those are left out which
nobody may ask for by GET."""


class Place(NamedTuple):
    """A page: its route, who sees it, where, and the status it has."""

    name: str
    who: str
    path: str
    status: int


def person_for(name: str) -> str | None:
    """Who sees the page of this route; None if nobody does."""
    if name in SPECIAL:
        return SPECIAL[name]
    for caller, person in (
        ("anonymous", STRANGER),
        ("administrator", ADMINISTRATOR),
        ("operator", OPERATOR),
    ):
        if EXPECTED[name]["GET"][caller] in ("200", "400", "410"):
            return person
    return None


def is_asked_for(route: Route) -> bool:
    """Whether anybody can get anything from it but a refusal."""
    outcomes = set(EXPECTED[route.name]["GET"].values())
    return not (outcomes <= {"in", "403"} or ("405" in outcomes and outcomes <= {"in", "405"}))


def page_routes() -> list[Route]:
    """All routes that have a page."""
    return [
        each
        for each in routes()
        if not each.is_call and is_asked_for(each) and each.name not in NO_PAGES
    ]


def prepare() -> None:
    """Let the account have one of everything, and print as JSON the places, and what states need
    to know: ids, and the codes of the one who has second factors."""
    at = timezone.now()
    tenancy = _everything(at)
    links = _links(tenancy, at)
    places = []
    for route in page_routes():
        who = person_for(route.name)
        assert who is not None, f"Say in NO_PAGES what {route.name} does, or in SPECIAL for whom."
        status = 400 if route.name == "sso:finish" else 200
        path = links.get(route.name) or route.address(tenancy)
        places.append(Place(route.name, who, path, status))
    facts = {**_facts(tenancy, at), **_other_accounts(tenancy, at)}
    print(json.dumps([places, facts]))  # noqa: T201  # for the tests


def _everything(at: datetime) -> TenancyFixture:
    members = {
        each.user.email: each
        for each in Membership.objects.filter(account_id=ACCOUNT_ID).select_related("user")
    }
    administrator, by = members[EMAILS[ADMINISTRATOR]], Actor.member(members[EMAILS[ADMINISTRATOR]])
    account, connection = administrator.account, Connection.objects.get(account_id=ACCOUNT_ID)
    _person(EMAILS[NEWCOMER])
    _person(EMAILS[OPERATOR], is_staff=True, is_superuser=True)
    return TenancyFixture(
        account=account,
        engineer=members["engineer@example.com"],
        administrator=administrator,
        user=members["user@example.com"],
        stranger=administrator,
        token=APIToken.objects.get(name="Automatic cache clearing"),
        service_account=_service_account(administrator, at),
        service=register(
            account=account,
            code="cdn",
            name="Content delivery",
            scopes=[ScopeFacts("purge", "Purge"), ScopeFacts("prefetch", "Prefetch")],
            by=by,
            at=at,
        ),
        verifier=issue_verifier(
            name="nginx", by=Actor.operator(through=EntryPoint.COMMAND), at=at
        ).verifier,
        notice=Notice.objects.create(
            user=administrator.user,
            account=account,
            kind=TOKEN_CHANGED_BY_OTHERS.code,
            title="Somebody renamed “Uptime probe”",
            created_at=at,
        ),
        mail=Mail.objects.create(
            user=administrator.user,
            account=account,
            kind=TOKEN_CHANGED_BY_OTHERS.code,
            facts={"title": "Somebody renamed a token", "text": "", "link": "/"},
            created_at=at,
            next_try_at=at,
            give_up_at=at,
        ),
        event=AuditEvent.objects.filter(account=account).latest("pk"),
        invitation=invitations.invite(
            account=account, email="invited@example.com", role=Role.USERS, by=by, at=at
        ),
        session=None,
        passkey=_second_factors(_member(account, EMAILS[GUARDED], at)),
        connection=connection,
        certificate=connection.certificates.get(),
        domain=connection.domains.get(),
        clients={},
    )


def _person(email: str, **facts: Any) -> User:
    return UserFactory.create(email=email, password=PASSWORD, **facts)


def _member(account: Account, email: str, at: datetime) -> Membership:
    operator = Actor.operator(through=EntryPoint.COMMAND)
    user = _person(email)
    return add_member(account=account, user=user, role=Role.USERS, by=operator, at=at)


def _second_factors(member: Membership) -> Authenticator:
    """An authenticator app, recovery codes and a passkey, which is returned."""
    TOTP.activate(member.user, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(member.user)
    made = json.loads(Passkey(member.user).made("bm9uZQ"))
    return Authenticator.objects.create(
        user=member.user,
        type=Authenticator.Type.WEBAUTHN,
        data={"name": "My notebook", "credential": made},
    )


def _service_account(administrator: Membership, at: datetime) -> ServiceAccount:
    made = service_account(administrator.account, name="Nightly jobs", contact=administrator, at=at)
    issue(made.membership, by=Actor.member(administrator), name="Of the nightly jobs", at=at)
    return made


def _links(tenancy: TenancyFixture, at: datetime) -> dict[str, str]:
    """A good link of each kind that mails carry, and of what is about another person than the
    engineer, by the name of its route."""
    user, newcomer = tenancy.user.user, User.objects.get(email=EMAILS[NEWCOMER])
    ines = Membership.objects.get(account=tenancy.account, user__email="ines@partners.example")
    unconfirmed = EmailAddress.objects.create(user=newcomer, email="unconfirmed@example.com")
    asked = service_account(
        tenancy.account, name="Asks", contact_email="team@example.com", agrees=False, at=at
    )
    key = default_token_generator.make_token(user)
    person = Person(user.pk, tenancy.account.pk)
    return {
        "account_confirm_email": reverse(
            "account_confirm_email", args=[EmailConfirmationHMAC(unconfirmed).key]
        ),
        "account_reset_password_from_key": reverse(
            "account_reset_password_from_key", args=[user_pk_to_url_str(user), key]
        ),
        "accounts:answer_contact": contacts.path(asked),
        "accounts:confirm_email": email_change.path(user, "new@example.net"),
        "accounts:invitation": reverse(
            "accounts:invitation", args=[invitations.signed_id(tenancy.invitation)]
        ),
        "sso:unlink": reverse("sso:unlink", args=[ines.account_id, ines.user_id]),
        "notifications:unsubscribe": urlsplit(
            unsubscribe.link(person, TOKEN_EXPIRING, email=user.email)
        ).path,
    }


def _other_accounts(tenancy: TenancyFixture, at: datetime) -> dict[str, int]:
    """Two more accounts of the Administrator: one without a token, and one at its limit. There is
    a third where others have issued all, and the person sees none."""
    administrator = tenancy.administrator.user
    empty = _joined("Without tokens", administrator, Role.ADMINISTRATORS)
    full = _joined("At the limit", administrator, Role.ADMINISTRATORS)
    of_others = _joined("At the limit of others", administrator, Role.USERS)
    other = add_member(
        account=of_others.account,
        user=tenancy.engineer.user,
        role=Role.ADMINISTRATORS,
        by=Actor.operator(through=EntryPoint.COMMAND),
        at=at,
    )
    for issuer in (full, other):
        for number in range(issuer.account.token_limit):
            issue(issuer, name=f"Deployment of shop no. {number + 1}", at=at)
    return {
        "empty": empty.account_id,
        "full": full.account_id,
        "full_of_others": of_others.account_id,
    }


def _joined(name: str, user: User, role: Role) -> Membership:
    by = Actor.operator(through=EntryPoint.COMMAND)
    account = Account.objects.create(name=name)
    return add_member(account=account, user=user, role=role, by=by, at=timezone.now())


def _facts(tenancy: TenancyFixture, at: datetime) -> dict[str, Any]:
    guarded = User.objects.get(email=EMAILS[GUARDED])
    codes = Authenticator.objects.get(user=guarded, type=Authenticator.Type.RECOVERY_CODES)
    of_account = APIToken.objects.filter(account=tenancy.account)
    return {
        "account": tenancy.account.pk,
        "codes": codes.wrap().get_unused_codes(),
        "plain": APIToken.objects.get(name="Uptime probe").pk,
        "deleted": of_account.deleted().latest("pk").pk,
        "expired": of_account.expired(at).latest("pk").pk,
        "suspended": of_account.filter(name="Stock level feed").get().pk,
        "long": of_account.filter(name__startswith="Nightly export").get().pk,
        "engineer": tenancy.engineer.user_id,
        "administrator": tenancy.administrator.user_id,
    }
