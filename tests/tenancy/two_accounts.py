"""Two accounts of one person that look the same, and the form of every route that changes one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import Account, AuditEvent, Invitation, Membership, ServiceAccount, User
from accounts.roles import Role
from apitokens.keys import Key
from apitokens.models import APIToken, Scope, Service
from apitokens.scopes.services import ScopeFacts, register
from apitokens.tokens import rotation
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS
from notifications.models import Mail, Notice, Preference
from sso.models import Certificate, Connection, Domain, InactivityAction, Subject
from tests.factories import (
    AccountFactory,
    CertificateFactory,
    ConnectionFactory,
    DomainFactory,
    MembershipFactory,
    SubjectFactory,
    issue,
    service_account,
)
from tests.sso.metadata_documents import metadata
from tests.tenancy.routes import Route


@dataclass
class Side:
    """One of the accounts, where the person is an Administrator, with all that a form can change.

    The colleague is the same user in both accounts: the same address but for its account is that
    of the same person.
    """

    account: Account
    person: Membership
    colleague: Membership
    service: ServiceAccount
    cdn: Service
    token: APIToken
    key: Key
    invitation: Invitation
    notice: Notice
    connection: Connection
    certificate: Certificate
    domain: Domain

    def address(self, route: Route) -> str:
        """The address of this account's object."""
        return reverse(
            route.name, kwargs={name: self._value(route, name) for name in route.arguments}
        )

    def _value(self, route: Route, name: str) -> int:
        if name == "pk":
            return next(pick(self) for start, pick in PKS.items() if route.name.startswith(start))
        is_service = route.name.endswith("_service_account")
        user_id = self.service.membership.user_id if is_service else self.colleague.user_id
        return {"account_id": self.account.pk, "user_id": user_id}[name]

    def state(self) -> list[Any]:
        """All rows of the account."""
        return list(self._rows())

    def is_as(self, state: list[Any]) -> bool:
        """Whether all rows are as they were. Reads no further than the first that is not."""
        return all(now == then for now, then in zip(self._rows(), state, strict=True))

    def _rows(self) -> Iterator[list[Any]]:
        own = {"account": self.account}
        of_connection = {"connection__account": self.account}
        tables: tuple[Any, ...] = (
            *(model._default_manager.filter(**own) for model in OWN),
            Account.objects.filter(pk=self.account.pk),
            ServiceAccount.objects.filter(membership__account=self.account),
            Scope.objects.filter(service__account=self.account),
            Membership.everyone.filter(**own),
            *(model._default_manager.filter(**of_connection) for model in OF_CONNECTION),
        )
        for table in tables:
            yield list(table.order_by("pk").values())


OWN = (
    *(AuditEvent, Membership, Invitation, APIToken, Service, Connection, Notice, Mail),
    Preference,
)
"""The table first that almost every change writes to."""
OF_CONNECTION = (Certificate, Domain, Subject)

PKS: dict[str, Callable[[Side], int]] = {
    "apitokens:edit_service": lambda side: side.cdn.pk,
    "apitokens:remove_service": lambda side: side.cdn.pk,
    "apitokens:": lambda side: side.token.pk,
    "notifications:": lambda side: side.notice.pk,
    "accounts:": lambda side: side.invitation.pk,
    "sso:withdraw_domain": lambda side: side.domain.pk,
    "sso:remove_certificate": lambda side: side.certificate.pk,
}
"""The values of `pk`, by the beginning of the route's name."""


def build(name: str, user: User, colleague: User, at: datetime) -> Side:
    """An account of this user, with a second Administrator so that one may leave."""
    account = AccountFactory.create(name=name)
    person = MembershipFactory.create(account=account, user=user)
    MembershipFactory.create(account=account)
    member = MembershipFactory.create(account=account, user=colleague, role=Role.ENGINEERS)
    connection = ConnectionFactory.create(account=account)
    CertificateFactory.create(connection=connection)
    for each in (person, member):
        SubjectFactory.create(connection=connection, membership=each)
    issued = issue(member, at=at, name=f"Token of {name}")
    return Side(
        account=account,
        person=person,
        colleague=member,
        service=service_account(account, at=at),
        cdn=register(
            account=account,
            code="cdn",
            name=f"CDN of {name}",
            scopes=[ScopeFacts("purge", "Purge")],
            by=Actor.member(person),
            at=at,
        ),
        token=issued.token,
        key=issued.key,
        invitation=invitations.invite(
            account=account,
            email="invited@example.com",
            role=Role.USERS,
            by=Actor.member(person),
            at=at,
        ),
        notice=Notice.objects.create(
            user=user,
            account=account,
            kind=TOKEN_CHANGED_BY_OTHERS.code,
            title=f"Notice of {name}",
            link=f"/accounts/{account.pk}/api-tokens/",
            created_at=at,
        ),
        connection=connection,
        certificate=CertificateFactory.create(connection=connection),
        domain=DomainFactory.create(connection=connection, asked_by=person),
    )


@dataclass(frozen=True)
class Form:
    """How a route is used: the page with its form, what is filled in, what holds before, and what
    comes of it. Hidden fields are sent as the page has them."""

    page: str
    filled_in: dict[str, Any] = field(default_factory=dict)
    of_side: Callable[[Side], dict[str, Any]] = lambda _side: {}
    """What is filled in besides, which depends on the account."""
    key_in: str = ""
    """The field for the whole token, if there is one."""
    prepare: Callable[[Side], object] | None = None
    outcome: str = "go"
    changes_something: bool = True


def _connection(**values: Any) -> Callable[[Side], object]:
    return lambda side: Connection.objects.filter(account=side.account).update(**values)


def _with_contact(side: Side) -> None:
    """Its contact is an address that has not answered."""
    ServiceAccount.objects.filter(pk=side.service.pk).update(contact_email="ops@example.com")


def _rotated(side: Side) -> None:
    rotation.rotate(token=side.token, by=Actor.member(side.person), at=timezone.now())


def _no_connection(side: Side) -> None:
    Domain.objects.filter(connection=side.connection).delete()
    side.connection.delete()


PEOPLE, SSO, INBOX, TOKENS = (
    "accounts:people",
    "sso:connection",
    "notifications:inbox",
    "apitokens:list",
)
ONE_SCOPE = {
    "scopes-TOTAL_FORMS": "1",
    "scopes-INITIAL_FORMS": "0",
    "scopes-0-code": "purge",
    "scopes-0-name": "Purge",
}
FORMS = {
    "accounts:account": Form("accounts:account", {"name": "Renamed"}),
    "accounts:leave": Form("accounts:leave"),
    "accounts:invite": Form(
        "accounts:invite",
        {"email": "new@example.com", "name": "", "role": Role.USERS.value, "language": "en"},
    ),
    "accounts:send_again": Form(PEOPLE),
    "accounts:withdraw": Form(PEOPLE),
    "accounts:change_role": Form("accounts:change_role", {"role": Role.USERS.value}),
    "accounts:remove": Form("accounts:remove", {"delete_tokens": "on"}),
    "accounts:new_service_account": Form(
        "accounts:new_service_account", {"name": "New", "role": Role.USERS.value}
    ),
    "accounts:edit_service_account": Form(
        "accounts:edit_service_account", {"name": "Renamed", "role": Role.USERS.value}
    ),
    "accounts:switch_service_account": Form("accounts:service_accounts", {"is_on": "0"}),
    "accounts:ask_contact_of_service_account": Form(
        "accounts:service_accounts", prepare=_with_contact
    ),
    "accounts:remove_service_account": Form("accounts:remove_service_account"),
    "apitokens:new_service": Form(
        "apitokens:new_service", {"code": "video", "name": "Video", **ONE_SCOPE}
    ),
    "apitokens:edit_service": Form("apitokens:edit_service", {"name": "Renamed", **ONE_SCOPE}),
    "apitokens:remove_service": Form("apitokens:remove_service"),
    "apitokens:hand_over_selected": Form(
        "apitokens:hand_over_selected", of_side=lambda side: {"to": side.person.user_id}
    ),
    "apitokens:create": Form(
        "apitokens:create",
        {
            "name": "New",
            "role": Role.USERS.value,
            "expiration": "never",
            "allowed_addresses": "203.0.113.0/24",
        },
        outcome="200",
    ),
    "apitokens:look_up": Form("apitokens:look_up", key_in="token"),
    "apitokens:choose_view": Form(TOKENS, {"density": "comfortable"}, changes_something=False),
    "apitokens:select": Form(TOKENS, {"all": "1"}, changes_something=False),
    "apitokens:delete_selected": Form("apitokens:delete_selected"),
    "apitokens:edit": Form(
        "apitokens:edit",
        {
            "name": "Renamed",
            "role": Role.USERS.value,
            "expiration": "keep",
            "allowed_addresses": "203.0.113.0/24",
        },
    ),
    "apitokens:rotate": Form(
        "apitokens:rotate", {"grace": "24", "expiration": "keep"}, outcome="200"
    ),
    "apitokens:end_old_secret": Form("apitokens:end_old_secret", prepare=_rotated),
    "apitokens:delete": Form("apitokens:delete"),
    "apitokens:delete_all": Form("apitokens:delete_all"),
    "notifications:read-all": Form(INBOX),
    "notifications:read": Form(INBOX),
    "notifications:settings": Form("notifications:settings", {"allows_any": "on"}),
    "sso:test": Form(SSO, outcome="200", changes_something=False),
    "sso:set_up": Form(SSO, prepare=_no_connection),
    "sso:provider": Form("sso:provider", {"text": metadata()}),
    "sso:settings": Form("sso:settings", {"name": "Renamed", "default_role": Role.USERS.value}),
    "sso:ask_for_domain": Form(SSO, {"name": "new.example"}),
    "sso:withdraw_domain": Form(SSO),
    "sso:remove_certificate": Form(SSO),
    "sso:switch_on": Form(SSO, prepare=_connection(is_on=False)),
    "sso:switch_off": Form(SSO),
    "sso:force": Form(SSO),
    "sso:stop_forcing": Form(SSO, prepare=_connection(is_forced=True)),
    "sso:absence": Form("sso:absence", {"action": InactivityAction.SUSPEND.value, "days": 30}),
    "sso:remove": Form("sso:remove", prepare=_connection(is_on=False)),
    "sso:unlink": Form("sso:unlink"),
}
"""The form of every route in an account that takes one. A new route is refused until it is here."""
