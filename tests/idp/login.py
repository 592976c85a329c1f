"""SSO login in a test: Django's test client at the portal, a real provider over HTTP."""

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
from tests.idp.samlp import Person, Provider, SAMLResponse

MAX_REDIRECTS = 10
"""More than any login needs."""


class IdentityProvider(Protocol):
    """What a provider needs for `connect_provider`."""

    def metadata(self) -> str: ...
    def register_service(self, metadata: bytes) -> None: ...


def connect_provider(
    administrator: Membership, provider: IdentityProvider, *, domain: str = "", at: datetime
) -> Connection:
    """Connect the account with the provider and approve the domain, as an Administrator and an
    operator do on their pages."""
    by = Actor.member(administrator)
    connection = connections.set_up(account=administrator.account, by=by, at=at)
    provider.register_service(PortalBrowser(connection).metadata())
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


class PortalBrowser:
    """A browser at the portal, during a login by SSO."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.client = connection, Client()

    @property
    def acs(self) -> str:
        """The path of the Assertion Consumer Service."""
        return _path(endpoints.acs_url(self.connection))

    @property
    def sls(self) -> str:
        """The path of the Single Logout Service."""
        return _path(endpoints.sls_url(self.connection))

    @property
    def is_signed_in(self) -> bool:
        return "_auth_user_id" in self.client.session

    @property
    def user_id(self) -> int:
        return int(self.client.session["_auth_user_id"])

    def metadata(self) -> bytes:
        """The portal's metadata."""
        answer = self.client.get(_path(endpoints.entity_id(self.connection)))
        assert answer.status_code == 200, answer.content
        return bytes(answer.content)

    def start_login(self, *, next_page: str = "") -> str:
        """Start a login, and return the URL at the provider."""
        query = {"next": next_page} if next_page else {}
        answer = self.client.get(_path(endpoints.begin_url(self.connection)), query)
        assert answer.status_code == 302, answer.content
        return str(answer["Location"])

    def submit(self, response: SAMLResponse) -> Any:
        """Post the response to the portal, and return the final page."""
        assert response.acs_url == settings.BASE_URL + self.acs
        return self.post(response.fields)

    def submit_xml(self, xml: bytes, response: SAMLResponse | None = None) -> Any:
        """Post this XML instead of the one in the response."""
        fields = dict(response.fields) if response else {}
        return self.post({**fields, "SAMLResponse": b64encode(xml).decode()})

    def post(self, fields: dict[str, str], *, acs: str = "") -> Any:
        """Post a form to the Assertion Consumer Service, and follow the portal's redirects."""
        answer: Any = self.client.post(acs or self.acs, fields, headers={"origin": "null"})
        for _step in range(MAX_REDIRECTS):
            if answer.status_code not in (302, 303) or not answer["Location"].startswith("/"):
                return answer
            answer = self.client.get(answer["Location"])
        raise AssertionError("The portal redirects without end.")


class LoginBrowser(PortalBrowser):
    """The same with a samlp provider, which authenticates any `Person`."""

    def __init__(self, connection: Connection, provider: Provider) -> None:
        super().__init__(connection)
        self.provider = provider

    def fetch_response(self, person: Person, *, signed: str = "both") -> SAMLResponse:
        """Start a login and authenticate at the provider; the response is not submitted yet."""
        return self.provider.respond(self.start_login(), person, signed=signed)

    def sign_in(self, person: Person, *, signed: str = "both") -> Any:
        """The whole way."""
        return self.submit(self.fetch_response(person, signed=signed))


def _path(address: str) -> str:
    assert address.startswith(settings.BASE_URL)
    return address.removeprefix(settings.BASE_URL)
