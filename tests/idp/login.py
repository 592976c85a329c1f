"""The way to a provider and back, in this process: the portal as Django's test client sees it, the
provider as it is, over HTTP."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django.test import Client

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from sso.connections import domains
from sso.connections import services as connections
from sso.models import Connection
from sso.saml import endpoints, metadata
from tests.factories import UserFactory
from tests.idp.samlp import Answer, Person, Provider

STEPS = 10
"""More redirections than any sign-in needs."""


class Trusted(Protocol):
    """A provider as far as setting it up goes."""

    def metadata(self) -> str: ...
    def know(self, metadata: bytes) -> None: ...


def connect(
    administrator: Membership, provider: Trusted, *, domain: str = "", at: datetime
) -> Connection:
    """The account trusts the provider, which may speak for the domain: what an Administrator and
    an operator do on their pages."""
    by = Actor.member(administrator)
    connection = connections.set_up(account=administrator.account, by=by, at=at)
    provider.know(Guest(connection).metadata())
    connection = connections.set_provider(
        connection=connection,
        metadata=metadata.parse_metadata(provider.metadata(), base_url=settings.BASE_URL, at=at),
        by=by,
        at=at,
    )
    connection = connections.change_settings(
        connection=connection,
        name="Company sign-in",
        email_attribute="mail",
        name_attribute="displayName",
        role_attribute="role",
        takes_new_people=True,
        default_role=Role.USERS,
        may_make_administrators=False,
        by=by,
        at=at,
    )
    if domain:
        asked = domains.request_approval(connection=connection, name=domain, by=by, at=at)
        operator = Actor.operator(
            through=EntryPoint.ADMIN, user=UserFactory.create(is_staff=True, is_superuser=True)
        )
        domains.approve(domain=asked, by=operator, at=at)
    connections.record_dry_run(connection=connection, by=by, at=at)
    connections.switch_on(connection=connection, by=by, at=at)
    connection.refresh_from_db()
    return connection


class Guest:
    """A person's browser at the portal, on the way to an account's provider or back."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.client = connection, Client()

    @property
    def acs(self) -> str:
        """Where the portal awaits responses, as a path."""
        return _path(endpoints.acs_url(self.connection))

    @property
    def sls(self) -> str:
        """Where the portal awaits what is said about signing out, as a path."""
        return _path(endpoints.sls_url(self.connection))

    @property
    def is_in(self) -> bool:
        """Whether the portal takes the browser for somebody."""
        return "_auth_user_id" in self.client.session

    @property
    def user_id(self) -> int:
        return int(self.client.session["_auth_user_id"])

    def metadata(self) -> bytes:
        """The portal's own, for the provider."""
        answer = self.client.get(_path(endpoints.entity_id(self.connection)))
        assert answer.status_code == 200, answer.content
        return bytes(answer.content)

    def ask(self, *, next_page: str = "") -> str:
        """Ask to sign in. The address at the provider to which the portal sends the browser."""
        query = {"next": next_page} if next_page else {}
        answer = self.client.get(_path(endpoints.begin_url(self.connection)), query)
        assert answer.status_code == 302, answer.content
        return str(answer["Location"])

    def bring(self, answer: Answer) -> Any:
        """Carry the answer to the portal; the page where that ends."""
        assert answer.address == settings.BASE_URL + self.acs
        return self.post(answer.fields)

    def bring_xml(self, xml: bytes, answer: Answer | None = None) -> Any:
        """Carry this response instead of the one in the answer."""
        fields = dict(answer.fields) if answer else {}
        return self.post({**fields, "SAMLResponse": b64encode(xml).decode()})

    def post(self, fields: dict[str, str], *, acs: str = "") -> Any:
        """Post a form to where responses are awaited, and follow the portal's own redirections."""
        answer: Any = self.client.post(acs or self.acs, fields, headers={"origin": "null"})
        for _step in range(STEPS):
            if answer.status_code not in (302, 303) or not answer["Location"].startswith("/"):
                return answer
            answer = self.client.get(answer["Location"])
        raise AssertionError("The portal redirects without end.")


class Visitor(Guest):
    """The same, where the provider is one that takes people for whom they say they are."""

    def __init__(self, connection: Connection, provider: Provider) -> None:
        super().__init__(connection)
        self.provider = provider

    def fetch(self, person: Person, *, signed: str = "both") -> Answer:
        """Ask to sign in, and be at the provider who is given: its answer, not yet brought."""
        return self.provider.answer(self.ask(), person, signed=signed)

    def sign_in(self, person: Person, *, signed: str = "both") -> Any:
        """The whole way."""
        return self.bring(self.fetch(person, signed=signed))


def _path(address: str) -> str:
    assert address.startswith(settings.BASE_URL)
    return address.removeprefix(settings.BASE_URL)
