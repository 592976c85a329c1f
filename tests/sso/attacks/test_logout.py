"""What a provider says about signing out travels through browsers too: nobody else may say it."""

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
from tests.idp.login import Visitor
from tests.idp.redirect_binding import Message
from tests.idp.samlp import Person, Provider
from tests.sso.attacks.conftest import MARIA

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]

OTTO = Person("otto-11", "otto@example.com", "Otto")
NAME = "saml:NameID"


@pytest.fixture
def request_of_provider(visitor: Visitor, example: Provider) -> Message:
    """Maria has come in, and has signed out at the provider, which tells the portal by her browser:
    what that is to carry."""
    answer = visitor.fetch(MARIA)
    visitor.bring(answer)
    assert visitor.is_in
    return Message.of(example.sign_out(answer))


def carry(visitor: Visitor, message: Message, *, by: Visitor | None = None) -> Any:
    return (by or visitor).client.get(f"{visitor.sls}?{message.query}")


def assert_still_in(visitor: Visitor, page: Any) -> None:
    assert HTTPStatus.BAD_REQUEST <= page.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    assert "<h1" in page.content.decode()
    assert visitor.client.get("/profile/").status_code == HTTPStatus.OK


def test_who_signs_out_at_the_provider_is_signed_out_here(
    visitor: Visitor, example: Provider, request_of_provider: Message
) -> None:
    page = carry(visitor, request_of_provider)

    assert page["Location"].startswith(f"{example.slo_url}?SAMLResponse=")
    assert visitor.client.get("/profile/").status_code == HTTPStatus.FOUND


def test_message_that_the_provider_signs_again_signs_out(
    visitor: Visitor, example: Provider, request_of_provider: Message
) -> None:
    carry(visitor, request_of_provider.signed(example.signing))

    assert visitor.client.get("/profile/").status_code == HTTPStatus.FOUND


def test_sign_out_of_one_person_leaves_others_in(
    visitor: Visitor, example: Provider, request_of_provider: Message
) -> None:
    otto = Visitor(visitor.connection, example)
    otto.sign_in(OTTO)

    carry(visitor, request_of_provider)

    assert otto.client.get("/profile/").status_code == HTTPStatus.OK


def test_sign_out_that_is_told_twice_does_not_end_the_next_session(
    visitor: Visitor, request_of_provider: Message
) -> None:
    carry(visitor, request_of_provider)
    visitor.sign_in(MARIA)

    carry(visitor, request_of_provider)

    assert visitor.client.get("/profile/").status_code == HTTPStatus.OK


Forgery = Callable[[Message, Provider], Message]

FORGERIES: dict[str, Forgery] = {
    "no signature": lambda message, _: message.without("Signature", "SigAlg"),
    "no signature, but a method": lambda message, _: message.without("Signature"),
    "empty signature": lambda message, _: Message({**message.fields, "Signature": ""}),
    "no method": lambda message, _: message.without("SigAlg"),
    "edited": lambda message, _: message.saying(
        mutations.changed(message.xml, mutations.say(NAME, OTTO.subject))
    ),
    "other relay state": lambda message, _: Message({**message.fields, "RelayState": "other"}),
    "attacker's key": lambda message, _: message.signed(make_key("attacker")),
    "SHA-1": lambda message, provider: message.signed(
        provider.signing, algorithm=redirect_binding.RSA_SHA1
    ),
    "public key": lambda message, provider: message.signed_with_public_key(
        provider.signing.certificate.encode()
    ),
    "destination elsewhere": lambda message, provider: message.saying(
        mutations.changed(
            message.xml,
            mutations.put(mutations.RESPONSE, "Destination", "https://elsewhere.example/"),
        )
    ).signed(provider.signing),
    "no destination": lambda message, provider: message.saying(
        mutations.changed(message.xml, mutations.put(mutations.RESPONSE, "Destination", None))
    ).signed(provider.signing),
    "issued by another": lambda message, provider: message.saying(
        mutations.changed(message.xml, mutations.say("saml:Issuer", "https://idp.example/"))
    ).signed(provider.signing),
    "comment in the name": lambda message, provider: message.saying(
        mutations.changed(message.xml, mutations.comment_inside(NAME, before="-7f3a"))
    ).signed(provider.signing),
    "signature inside": lambda message, provider: message.saying(
        signatures.sign_again(message.xml, provider.signing, paths=[mutations.RESPONSE])
    ).without("Signature", "SigAlg"),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_forged_sign_out_is_refused(
    visitor: Visitor, example: Provider, request_of_provider: Message, forgery: Forgery
) -> None:
    page = carry(visitor, forgery(request_of_provider, example))

    assert_still_in(visitor, page)


def test_sign_out_that_is_too_late_is_refused(
    visitor: Visitor, example: Provider, request_of_provider: Message, now: datetime
) -> None:
    ended = mutations.instant(now - timedelta(minutes=10))
    late = mutations.changed(
        request_of_provider.xml, mutations.put(mutations.RESPONSE, "NotOnOrAfter", ended)
    )

    page = carry(visitor, request_of_provider.saying(late).signed(example.signing))

    assert_still_in(visitor, page)


def test_message_that_is_there_twice_is_refused(
    visitor: Visitor, request_of_provider: Message
) -> None:
    """A reader of the first and a reader of the last would not mean the same."""
    twice = f"SAMLRequest=x&{request_of_provider.query}"

    assert_still_in(visitor, visitor.client.get(f"{visitor.sls}?{twice}"))


def test_another_accounts_provider_signs_nobody_out(
    visitor: Visitor,
    other_connection: Connection,
    globex: Provider,
    request_of_provider: Message,
) -> None:
    """Neither here, with its key, nor at its own address, with our name."""
    other = Visitor(other_connection, globex)
    ours = f"{settings.BASE_URL}{visitor.sls}"
    theirs = request_of_provider.xml.replace(
        ours.encode(), f"{settings.BASE_URL}{other.sls}".encode()
    )
    theirs = mutations.changed(theirs, mutations.say("saml:Issuer", globex.entity_id))

    assert_still_in(visitor, carry(visitor, request_of_provider.signed(globex.signing)))
    carry(other, request_of_provider.saying(theirs).signed(globex.signing), by=visitor)

    assert visitor.client.get("/profile/").status_code == HTTPStatus.OK
