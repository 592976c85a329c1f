"""Forged, edited and replayed LogoutRequests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.conf import settings

from sso.models import Connection
from tests.idp import mutations, redirect_binding, signatures
from tests.idp.keys import make_key
from tests.idp.login import LoginBrowser
from tests.idp.redirect_binding import RedirectMessage
from tests.idp.samlp import Person, Provider
from tests.sso.attacks.conftest import MARIA

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]

OTTO = Person("otto-11", "otto@example.com", "Otto")
NAME = "saml:NameID"


@pytest.fixture
def request_of_provider(browser: LoginBrowser, example: Provider) -> RedirectMessage:
    """The LogoutRequest that Maria's browser gets from the provider when she signs out there."""
    response = browser.fetch_response(MARIA)
    browser.submit(response)
    assert browser.is_signed_in
    return RedirectMessage.from_url(example.start_logout(response))


def carry(
    browser: LoginBrowser, message: RedirectMessage, *, by: LoginBrowser | None = None
) -> Any:
    return (by or browser).client.get(f"{browser.sls}?{message.query}")


def assert_still_in(browser: LoginBrowser, page: Any) -> None:
    assert HTTPStatus.BAD_REQUEST <= page.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    assert "<h1" in page.content.decode()
    assert browser.client.get("/profile/").status_code == HTTPStatus.OK


def test_logout_request_ends_the_session(
    browser: LoginBrowser, example: Provider, request_of_provider: RedirectMessage
) -> None:
    page = carry(browser, request_of_provider)

    assert page["Location"].startswith(f"{example.slo_url}?SAMLResponse=")
    assert browser.client.get("/profile/").status_code == HTTPStatus.FOUND


def test_message_that_the_provider_signs_again_signs_out(
    browser: LoginBrowser, example: Provider, request_of_provider: RedirectMessage
) -> None:
    carry(browser, request_of_provider.signed(example.signing))

    assert browser.client.get("/profile/").status_code == HTTPStatus.FOUND


def test_sign_out_of_one_person_leaves_others_in(
    browser: LoginBrowser, example: Provider, request_of_provider: RedirectMessage
) -> None:
    otto = LoginBrowser(browser.connection, example)
    otto.sign_in(OTTO)

    carry(browser, request_of_provider)

    assert otto.client.get("/profile/").status_code == HTTPStatus.OK


def test_replayed_logout_request_does_not_end_the_next_session(
    browser: LoginBrowser, request_of_provider: RedirectMessage
) -> None:
    carry(browser, request_of_provider)
    browser.sign_in(MARIA)

    carry(browser, request_of_provider)

    assert browser.client.get("/profile/").status_code == HTTPStatus.OK


Forgery = Callable[[RedirectMessage, Provider], RedirectMessage]

FORGERIES: dict[str, Forgery] = {
    "no signature": lambda message, _: message.without("Signature", "SigAlg"),
    "no signature, but a method": lambda message, _: message.without("Signature"),
    "empty signature": lambda message, _: RedirectMessage({**message.fields, "Signature": ""}),
    "no method": lambda message, _: message.without("SigAlg"),
    "edited": lambda message, _: message.with_xml(
        mutations.mutate(message.xml, mutations.set_text(NAME, OTTO.subject))
    ),
    "other relay state": lambda message, _: RedirectMessage(
        {**message.fields, "RelayState": "other"}
    ),
    "attacker's key": lambda message, _: message.signed(make_key("attacker")),
    "SHA-1": lambda message, provider: message.signed(
        provider.signing, algorithm=redirect_binding.RSA_SHA1
    ),
    "public key": lambda message, provider: message.signed_with_public_key(
        provider.signing.certificate.encode()
    ),
    "destination elsewhere": lambda message, provider: message.with_xml(
        mutations.mutate(
            message.xml,
            mutations.set_xml_attribute(
                mutations.RESPONSE, "Destination", "https://elsewhere.example/"
            ),
        )
    ).signed(provider.signing),
    "no destination": lambda message, provider: message.with_xml(
        mutations.mutate(
            message.xml, mutations.set_xml_attribute(mutations.RESPONSE, "Destination", None)
        )
    ).signed(provider.signing),
    "issued by another": lambda message, provider: message.with_xml(
        mutations.mutate(message.xml, mutations.set_text("saml:Issuer", "https://idp.example/"))
    ).signed(provider.signing),
    "comment in the name": lambda message, provider: message.with_xml(
        mutations.mutate(message.xml, mutations.insert_comment(NAME, before="-7f3a"))
    ).signed(provider.signing),
    "signature inside": lambda message, provider: message.with_xml(
        signatures.sign_anew(message.xml, provider.signing, paths=[mutations.RESPONSE])
    ).without("Signature", "SigAlg"),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_forged_sign_out_is_refused(
    browser: LoginBrowser, example: Provider, request_of_provider: RedirectMessage, forgery: Forgery
) -> None:
    page = carry(browser, forgery(request_of_provider, example))

    assert_still_in(browser, page)


def test_sign_out_that_is_too_late_is_refused(
    browser: LoginBrowser, example: Provider, request_of_provider: RedirectMessage, now: datetime
) -> None:
    ended = mutations.format_instant(now - timedelta(minutes=10))
    late = mutations.mutate(
        request_of_provider.xml,
        mutations.set_xml_attribute(mutations.RESPONSE, "NotOnOrAfter", ended),
    )

    page = carry(browser, request_of_provider.with_xml(late).signed(example.signing))

    assert_still_in(browser, page)


def test_message_that_is_there_twice_is_refused(
    browser: LoginBrowser, request_of_provider: RedirectMessage
) -> None:
    """Two parsers could take different values of a repeated parameter."""
    twice = f"SAMLRequest=x&{request_of_provider.query}"

    assert_still_in(browser, browser.client.get(f"{browser.sls}?{twice}"))


def test_another_accounts_provider_signs_nobody_out(
    browser: LoginBrowser,
    other_connection: Connection,
    globex: Provider,
    request_of_provider: RedirectMessage,
) -> None:
    """Neither at this account's URL with its key, nor at its own URL with this account's name."""
    other = LoginBrowser(other_connection, globex)
    ours = f"{settings.BASE_URL}{browser.sls}"
    theirs = request_of_provider.xml.replace(
        ours.encode(), f"{settings.BASE_URL}{other.sls}".encode()
    )
    theirs = mutations.mutate(theirs, mutations.set_text("saml:Issuer", globex.entity_id))

    assert_still_in(browser, carry(browser, request_of_provider.signed(globex.signing)))
    carry(other, request_of_provider.with_xml(theirs).signed(globex.signing), by=browser)

    assert browser.client.get("/profile/").status_code == HTTPStatus.OK
