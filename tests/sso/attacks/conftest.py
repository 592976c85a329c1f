"""Two accounts, each with a provider of its own, and a browser at the first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

import pytest
from django.conf import settings

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership
from sso.connections import services as connections
from sso.models import Connection
from sso.saml import metadata, python3_saml, signature_wrapping
from sso.saml.errors import describe_reason
from tests.idp.keys import make_key
from tests.idp.login import LoginBrowser, PortalBrowser, connect_provider
from tests.idp.samlp import Person, Provider

MARIA = Person("maria-7f3a", "maria@example.com", "Maria", "Users")
"""The user at the provider of Example Inc."""
ATTACKER = Person("mallory-01", "mallory@example.com", "Mallory", "Users")


@pytest.fixture
def example(providers: dict[str, Provider]) -> Provider:
    """The provider of Example Inc."""
    return providers["example"]


@pytest.fixture
def globex(providers: dict[str, Provider]) -> Provider:
    """The provider of another account."""
    return providers["globex"]


@pytest.fixture
def connection(administrator: Membership, example: Provider, now: datetime) -> Connection:
    return connect_provider(administrator, example, domain="example.com", at=now)


@pytest.fixture
def other_connection(stranger: Membership, globex: Provider, now: datetime) -> Connection:
    return connect_provider(stranger, globex, domain="globex.example", at=now)


@pytest.fixture
def browser(connection: Connection, example: Provider) -> LoginBrowser:
    return LoginBrowser(connection, example)


@pytest.fixture(params=["both", "assertion", "message"])
def signed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the provider signs: both, the assertion alone, or the message alone.

    The portal insists on signed assertions, and refuses the last one whatever it says; attacks on
    it would prove nothing. So it meets a portal to which that is enough: everything else holds
    there by itself, and the true portal has one reason more to refuse.
    """
    if request.param == "message":
        monkeypatch.setattr(
            signature_wrapping, "_refuse_unsigned_assertion", lambda _assertion: None
        )
        monkeypatch.setitem(python3_saml._SECURITY, "wantAssertionsSigned", False)
    return str(request.param)


def assert_refused(browser: PortalBrowser, page: Any, *codes: str) -> None:
    """A page that does not disclose the reason, no session, and an audit event with one of these
    codes."""
    assert HTTPStatus.BAD_REQUEST <= page.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, page
    text = page.content.decode()
    assert "<h1" in text, text
    assert not browser.is_signed_in
    event = AuditEvent.objects.filter(kind="sso.refused").newest_first().first()
    assert event is not None
    assert event.account_id == browser.connection.account_id
    assert event.details["code"] in codes
    assert describe_reason(event.details["code"]) not in text


@pytest.fixture
def roll_over(
    connection: Connection, administrator: Membership, example: Provider, now: datetime
) -> Callable[[], Provider]:
    """Add a second certificate of the provider; returns it with the new key."""

    def act() -> Provider:
        rolled = example._replace(signing=make_key("example, next"))
        text = _without_breaks(example.metadata())
        old, new = (_without_breaks(_body(each.signing.certificate)) for each in (example, rolled))
        assert old in text
        connections.set_provider(
            connection=connection,
            metadata=metadata.parse_metadata(
                text.replace(old, new), base_url=settings.BASE_URL, at=now
            ),
            keep_certificates=True,
            by=Actor.member(administrator),
            at=now,
        )
        return rolled

    return act


def _body(certificate: str) -> str:
    """The base64 of a certificate, without the lines around it."""
    return "".join(certificate.strip().splitlines()[1:-1])


def _without_breaks(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")
