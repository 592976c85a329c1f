"""The same attacks on responses of SimpleSAMLphp, which builds and signs them differently."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import pytest

from accounts.models import Membership
from tests.idp import mutations, signatures, wrapping
from tests.idp.login import PortalBrowser, connect_provider
from tests.idp.mutations import ASSERTION, RESPONSE, SUBJECT
from tests.idp.samlp import SAMLResponse
from tests.idp.simplesamlphp import SimpleSAMLphp
from tests.idp.wrapping import Wrapping
from tests.sso.attacks.conftest import assert_refused

pytestmark = [pytest.mark.simplesamlphp, pytest.mark.django_db]

BOSS = "boss-0001"


class SignedResponse(NamedTuple):
    """Maria's browser, with the response that it is to submit."""

    browser: PortalBrowser
    response: SAMLResponse
    certificate: str


@pytest.fixture
def signed_response(
    administrator: Membership, simple_provider: SimpleSAMLphp, now: datetime
) -> SignedResponse:
    browser = PortalBrowser(
        connect_provider(administrator, simple_provider, domain="globex.example", at=now)
    )
    certificate = (simple_provider.folder / "provider.crt").read_text()
    return SignedResponse(browser, simple_provider.respond(browser.start_login()), certificate)


def test_genuine_response_logs_in(signed_response: SignedResponse) -> None:
    signed_response.browser.submit(signed_response.response)

    assert signed_response.browser.is_signed_in
    member = Membership.objects.get(user=signed_response.browser.user_id)
    assert (member.user.email, member.user.name) == ("maria@globex.example", "Maria Example")


def test_it_signs_message_and_assertion(signed_response: SignedResponse) -> None:
    """So that the attacks below face both signatures."""
    root = mutations.parse(signed_response.response.xml)

    assert signatures.signed_paths(root) == [ASSERTION, RESPONSE]


@pytest.mark.parametrize("variant", Wrapping)
def test_wrapped_response_is_refused(signed_response: SignedResponse, variant: Wrapping) -> None:
    xml = wrapping.wrap(signed_response.response.xml, variant, mutations.set_subject(BOSS))
    assert signatures.passes_naive_verifier(xml, signed_response.certificate)
    assert signatures.naive_subject(xml) == BOSS

    page = signed_response.browser.submit_xml(xml, signed_response.response)

    assert_refused(signed_response.browser, page, "shape")


@pytest.mark.parametrize("paths", [[ASSERTION], [ASSERTION, RESPONSE]], ids=["one", "all"])
def test_stripped_response_is_refused(signed_response: SignedResponse, paths: list[str]) -> None:
    page = signed_response.browser.submit_xml(
        signatures.remove_signatures(signed_response.response.xml, paths), signed_response.response
    )

    assert_refused(signed_response.browser, page, "unsigned")


@pytest.mark.parametrize("path", [SUBJECT, ".//saml:AttributeValue"], ids=["subject", "attribute"])
def test_edited_response_is_refused(signed_response: SignedResponse, path: str) -> None:
    page = signed_response.browser.submit_xml(
        mutations.mutate(signed_response.response.xml, mutations.set_text(path, BOSS)),
        signed_response.response,
    )

    assert_refused(signed_response.browser, page, "signature")


def test_comment_inside_the_subject_is_refused(signed_response: SignedResponse) -> None:
    xml = mutations.mutate(
        signed_response.response.xml, mutations.insert_comment(SUBJECT, before="-7f3a")
    )
    assert signatures.passes_naive_verifier(xml, signed_response.certificate)

    assert_refused(
        signed_response.browser,
        signed_response.browser.submit_xml(xml, signed_response.response),
        "odd_node",
    )


def test_response_is_good_once(signed_response: SignedResponse) -> None:
    signed_response.browser.submit(signed_response.response)
    signed_response.browser.client.logout()

    assert_refused(
        signed_response.browser,
        signed_response.browser.submit(signed_response.response),
        "other_request",
    )
