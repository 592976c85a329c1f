"""An account with secrets, and clients of all callers who request them."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.models import Account, AuditEvent, Invitation, Membership, ServiceAccount, User
from accounts.roles import Role
from accounts.tenancy.decorators import SESSION_KEY
from apitokens.models import APIToken, Scope, Service, TokenAddress, VerifierKey
from apitokens.scopes.services import ScopeFacts, register
from apitokens.verification.verifier_keys import issue_verifier
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS
from notifications.models import Mail, Notice, State
from sso.models import Certificate, Connection, Domain, Subject
from tests.factories import (
    PASSWORD,
    AccountFactory,
    CertificateFactory,
    ConnectionFactory,
    DomainFactory,
    MembershipFactory,
    SubjectFactory,
    UserFactory,
    issue,
    service_account,
)

CALLERS = ("anonymous", "lonely", "stranger", "user", "administrator", "operator")
"""Anonymous; a user without an account; an Administrator of another account; a member with the
weakest role; an Administrator; an operator of the portal who belongs to no account."""

OUTSIDERS = ("anonymous", "lonely", "stranger", "operator")

ACCOUNT_MARK = "zanzibar"
"""Part of every name and address of the account: a response that contains it leaks."""

ENGINEERS_MARK = "quagga"
"""Part of everything of the engineer: Administrators see it, other members do not."""


HERE = "127.0.0.1"


class Writes:
    """Sees whether any statement writes, and into which tables."""

    READING = ("SELECT", "SHOW", "SAVEPOINT", "RELEASE", "ROLLBACK")
    TABLE = re.compile(r'(?:INSERT INTO|(?<!DO )UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE)

    def __init__(self) -> None:
        self.tables = set[str]()

    @property
    def seen(self) -> bool:
        return bool(self.tables)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.lstrip("( \n").upper().startswith(self.READING):
            # Whatever else it may be is shown whole.
            self.tables.update(self.TABLE.findall(sql) or [sql])
        return execute(sql, params, many, context)


@contextmanager
def watched() -> Iterator[Writes]:
    """Tells afterwards what was written inside."""
    writes = Writes()
    with connection.execute_wrapper(writes):
        yield writes


@dataclass
class TenancyFixture:
    """The account, its engineer's objects, which the requests address, and the clients."""

    account: Account
    engineer: Membership
    administrator: Membership
    user: Membership
    stranger: Membership
    token: APIToken
    service_account: ServiceAccount
    service: Service
    verifier: VerifierKey
    notice: Notice
    mail: Mail
    event: AuditEvent
    invitation: Invitation
    session: UserSession
    passkey: Authenticator
    connection: Connection
    certificate: Certificate
    domain: Domain
    clients: dict[str, Client]

    @cached_property
    def beginning(self) -> list[Any]:
        """The state before any test, to which each of them returns."""
        return self.state()

    @contextmanager
    def unchanged(self, *what: str) -> Iterator[None]:
        """What happens inside may write, but nothing of the account. Reading all of it takes longer
        than most requests, so it is read only if anything was written."""
        before = self.beginning
        with watched() as writes:
            yield
        assert not writes.seen or self.state() == before, what

    def state(self) -> list[Any]:
        """All rows of the account that a request could change, but for records of the request."""
        tables: Iterable[Any] = (
            Account.objects.all(),
            Membership.everyone.all(),
            ServiceAccount.objects.all(),
            ServiceAccount.issuers.through.objects.all(),
            Invitation.objects.all(),
            User.everyone.all(),
            APIToken.objects.all(),
            Service.objects.all(),
            Scope.objects.all(),
            VerifierKey.objects.all(),
            Connection.objects.filter(account=self.account),
            Certificate.objects.all(),
            Domain.objects.all(),
            Subject.objects.all(),
            Notice.objects.filter(account=self.account),
            UserSession.objects.filter(pk=self.session.pk),
            Authenticator.objects.all(),
        )
        ignored = {"last_login", "last_used_at", "last_used_address", "last_seen_at", "digest"}
        ignored.add("sign_in_number")  # of who signs themselves out everywhere else
        return [
            [
                {name: value for name, value in row.items() if name not in ignored}
                for row in table.order_by("pk").values()
            ]
            for table in tables
        ]

    def arguments(self) -> dict[str, Any]:
        """The values of arguments in addresses, by name; `pk` depends on the route."""
        return {
            "account_id": self.account.pk,
            "client_id": self.account.pk,
            "user_id": self.engineer.user_id,
            "token_id": self.token.pk,
            "service_account_id": self.service_account.membership.user_id,
            "invitation_id": self.invitation.pk,
            "membership_id": self.engineer.pk,
            "slug": self.connection.slug,
            "code": self.service.code,
            "signed": "no:such:signature",
            "key": "no-such-key",
            "uidb36": "1",
            "content_type_id": ContentType.objects.get_for_model(APIToken).pk,
            "app_label": "accounts",
            "url": "nowhere",
            "page": "profile/api-tokens/",
        }


def build() -> TenancyFixture:
    """Create the fixture, as of now."""
    at = timezone.now()
    account = AccountFactory.create(name="Zanzibar Ltd")
    administrator = _member(account, "adele", Role.ADMINISTRATORS)
    engineer = _member(account, ENGINEERS_MARK, Role.ENGINEERS)
    user = _member(account, "umar", Role.USERS)
    stranger = MembershipFactory.create(account__name="Globex", role=Role.ADMINISTRATORS)
    operator = UserFactory.create(is_staff=True, is_superuser=True)
    keys = {
        name: issue(member, at=at, name=f"{name} token", role=member.role).key.spell()
        for name, member in (
            ("stranger", stranger),
            ("user", user),
            ("administrator", administrator),
        )
    }
    clients = {
        "anonymous": Client(),
        "lonely": browser(UserFactory.create()),
        "stranger": browser(stranger.user, stranger, keys["stranger"]),
        "user": browser(user.user, user, keys["user"]),
        "administrator": browser(administrator.user, administrator, keys["administrator"]),
        "operator": browser(operator),
    }
    connection = _connection(administrator, engineer)
    tenancy = TenancyFixture(
        account=account,
        engineer=engineer,
        administrator=administrator,
        user=user,
        stranger=stranger,
        token=issue(engineer, at=at, name=f"{ACCOUNT_MARK} {ENGINEERS_MARK} token").token,
        service_account=_service_account(engineer, at),
        service=register(
            account=account,
            code="cdn",
            name=f"{ACCOUNT_MARK} cdn",
            scopes=[ScopeFacts("purge", f"{ACCOUNT_MARK} purge")],
            by=Actor.member(administrator),
            at=at,
        ),
        verifier=issue_verifier(
            name="nginx", by=Actor.operator(through=EntryPoint.COMMAND), at=at
        ).verifier,
        notice=_notice(engineer, at),
        mail=_mail(engineer, at),
        event=audit.record(
            "sign_in.succeeded", by=Actor.member(engineer), at=at, subject=engineer.user
        ),
        invitation=invitations.invite(
            account=account,
            email=f"{ENGINEERS_MARK}@{ACCOUNT_MARK}.invited.example",
            role=Role.USERS,
            by=Actor.member(administrator),
            at=at,
        ),
        session=_session(engineer),
        passkey=Authenticator.objects.create(
            user=engineer.user,
            type=Authenticator.Type.WEBAUTHN,
            data={"name": f"{ACCOUNT_MARK} {ENGINEERS_MARK} passkey", "credential": {}},
        ),
        connection=connection,
        certificate=connection.certificates.get(),
        domain=connection.domains.get(),
        clients=clients,
    )
    Mail.objects.update(state=State.SENT)  # or /healthz complains that nobody sends them
    _used_before(at)
    return tenancy


def _used_before(at: datetime) -> None:
    """All tokens have been used from here: the first use is written at once, which takes longer
    than most requests."""
    tokens = APIToken.objects.all()
    tokens.update(last_used_at=at, last_used_address=HERE)
    TokenAddress.objects.bulk_create(
        TokenAddress(token=each, address=HERE, first_seen_at=at, last_seen_at=at) for each in tokens
    )


def _member(account: Account, name: str, role: Role) -> Membership:
    return MembershipFactory.create(
        account=account,
        role=role,
        user__email=f"{name}@{ACCOUNT_MARK}.example",
        user__name=f"{name.capitalize()} of Zanzibar",
    )


def _service_account(engineer: Membership, at: datetime) -> ServiceAccount:
    """A service account for which the engineer may issue tokens, with one that is active."""
    made = service_account(
        engineer.account,
        name=f"{ACCOUNT_MARK} {ENGINEERS_MARK} service",
        contact=engineer,
        issuers=[engineer],
        at=at,
    )
    issue(made.membership, by=Actor.member(engineer), name=f"{ENGINEERS_MARK} service", at=at)
    return made


def browser(user: User, member: Membership | None = None, key: str = "") -> Client:
    """A client that has just re-authenticated."""
    client = Client(headers={"Authorization": f"APIKey {key}"} if key else None)
    client.force_login(user)
    if member:
        session = client.session
        session[SESSION_KEY] = member.account_id
        session.save()
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


def _connection(administrator: Membership, engineer: Membership) -> Connection:
    """A provider through which the engineer has signed in."""
    connection = ConnectionFactory.create(
        account=administrator.account,
        name=f"{ACCOUNT_MARK} directory",
        entity_id=f"https://idp.{ACCOUNT_MARK}.example/metadata",
    )
    CertificateFactory.create(connection=connection)
    DomainFactory.create(
        connection=connection, name=f"{ACCOUNT_MARK}.example", asked_by=administrator
    )
    SubjectFactory.create(
        connection=connection, membership=engineer, name_id=f"{ENGINEERS_MARK}-{ACCOUNT_MARK}"
    )
    Membership.objects.filter(pk=engineer.pk).update(sso_at=timezone.now())
    engineer.refresh_from_db(fields=["sso_at"])
    return connection


def _notice(member: Membership, at: datetime) -> Notice:
    return Notice.objects.create(
        user=member.user,
        account=member.account,
        kind=TOKEN_CHANGED_BY_OTHERS.code,
        title=f"{ACCOUNT_MARK} {ENGINEERS_MARK} notice",
        created_at=at,
    )


def _mail(member: Membership, at: datetime) -> Mail:
    return Mail.objects.create(
        user=member.user,
        account=member.account,
        kind=TOKEN_CHANGED_BY_OTHERS.code,
        created_at=at,
        next_try_at=at,
        give_up_at=at,
    )


def _session(member: Membership) -> UserSession:
    client = browser(member.user, member)
    key = client.session.session_key
    session, _made = UserSession.objects.get_or_create(
        session_key=key,
        defaults={
            "user": member.user,
            "ip": "192.0.2.1",
            "user_agent": f"{ENGINEERS_MARK} browser",
        },
    )
    return session


Pick = Callable[[TenancyFixture], int | UUID]

PKS: dict[str, Pick] = {
    "admin:view_on_site": lambda tenancy: tenancy.token.pk,
    "apitokens:edit_service": lambda tenancy: tenancy.service.pk,
    "apitokens:remove_service": lambda tenancy: tenancy.service.pk,
    "apitokens:": lambda tenancy: tenancy.token.pk,
    "notifications:": lambda tenancy: tenancy.notice.pk,
    "accounts:change_role": lambda tenancy: tenancy.engineer.pk,
    "accounts:remove": lambda tenancy: tenancy.engineer.pk,
    "accounts:send_again": lambda tenancy: tenancy.invitation.pk,
    "accounts:withdraw": lambda tenancy: tenancy.invitation.pk,
    "accounts:end_session": lambda tenancy: tenancy.session.pk,
    "sso:withdraw_domain": lambda tenancy: tenancy.domain.pk,
    "sso:remove_certificate": lambda tenancy: tenancy.certificate.pk,
    "mfa_": lambda tenancy: tenancy.passkey.pk,
    "admin:accounts_user_": lambda tenancy: tenancy.engineer.user_id,
    "admin:accounts_membership_": lambda tenancy: tenancy.engineer.pk,
    "admin:accounts_invitation_": lambda tenancy: tenancy.invitation.pk,
    "admin:accounts_auditevent_": lambda tenancy: tenancy.event.pk,
    "admin:accounts_account_": lambda tenancy: tenancy.account.pk,
    "admin:apitokens_apitoken_": lambda tenancy: tenancy.token.pk,
    "admin:apitokens_verifierkey_": lambda tenancy: tenancy.verifier.pk,
    "admin:apitokens_service_": lambda tenancy: tenancy.service.pk,
    "admin:sso_connection_": lambda tenancy: tenancy.connection.pk,
    "admin:sso_domain_": lambda tenancy: tenancy.domain.pk,
    "admin:notifications_mail_": lambda tenancy: tenancy.mail.pk,
}
"""The values of `pk` and `object_id`, by the beginning of the route's name."""
