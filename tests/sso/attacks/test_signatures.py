"""Responses with missing, wrong, weak or foreign signatures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from xmlsec import constants

from accounts.authorization.actor import Actor
from accounts.models import Membership
from sso.connections import services as connections
from sso.models import Certificate, Connection
from tests.idp import mutations, signatures
from tests.idp.keys import make_key
from tests.idp.login import LoginBrowser
from tests.idp.mutations import ASSERTION, RESPONSE, Mutation
from tests.idp.samlp import Provider
from tests.sso.attacks.conftest import ATTACKER, MARIA, assert_refused

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]

SHA1: dict[str, Any] = {"method": constants.TransformRsaSha1, "digest": constants.TransformSha1}

EDITS: dict[str, Mutation] = {
    "subject": mutations.set_subject(MARIA.subject),
    "e-mail": mutations.set_attribute_value("mail", MARIA.email),
    "role": mutations.set_attribute_value("role", "Administrators"),
    "audience": mutations.set_text(mutations.AUDIENCE, "http://localhost:8000/"),
    "issuer": mutations.set_text(f"{ASSERTION}/saml:Issuer", "https://idp.example/"),
    "in response to": mutations.set_xml_attribute(mutations.CONFIRMATION, "InResponseTo", "_other"),
    "end": mutations.set_xml_attribute(
        mutations.CONDITIONS, "NotOnOrAfter", "2999-01-01T00:00:00Z"
    ),
}


# --- Accepted responses, so that refusals mean something ------------------------------------------


def test_true_response_lets_somebody_in(browser: LoginBrowser, signed: str) -> None:
    browser.sign_in(MARIA, signed=signed)

    assert browser.is_signed_in


def test_response_that_the_provider_signs_again_lets_somebody_in(
    browser: LoginBrowser, example: Provider, signed: str
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)

    browser.submit_xml(signatures.sign_anew(response.xml, example.signing), response)

    assert browser.is_signed_in


def test_signed_message_with_an_unsigned_assertion_is_refused(browser: LoginBrowser) -> None:
    """The assertion needs a signature of its own."""
    assert_refused(browser, browser.sign_in(MARIA, signed="message"), "unsigned")


# --- Stripped signatures and edited content
# -----------------------------------------------------------------------


def test_response_without_any_signature_is_refused(browser: LoginBrowser, signed: str) -> None:
    response = browser.fetch_response(MARIA, signed=signed)

    assert_refused(
        browser,
        browser.submit_xml(signatures.remove_signatures(response.xml), response),
        "unsigned",
    )


def test_assertion_without_its_signature_is_refused(browser: LoginBrowser) -> None:
    response = browser.fetch_response(MARIA, signed="both")

    page = browser.submit_xml(signatures.remove_signatures(response.xml, [ASSERTION]), response)

    assert_refused(browser, page, "unsigned")


def test_message_without_its_signature_is_refused(browser: LoginBrowser) -> None:
    """The provider has signed both in the dry run, so both are required."""
    Connection.objects.update(signs_messages=True)
    response = browser.fetch_response(MARIA, signed="both")

    page = browser.submit_xml(signatures.remove_signatures(response.xml, [RESPONSE]), response)

    assert_refused(browser, page, "unsigned_response")


def test_message_without_a_signature_is_taken_of_who_signs_none(browser: LoginBrowser) -> None:
    response = browser.fetch_response(MARIA, signed="both")

    browser.submit_xml(signatures.remove_signatures(response.xml, [RESPONSE]), response)

    assert browser.is_signed_in


def test_unsigned_assertion_in_a_message_signed_anew_is_refused(
    browser: LoginBrowser, example: Provider
) -> None:
    response = browser.fetch_response(MARIA, signed="both")

    xml = signatures.sign_anew(response.xml, example.signing, paths=[RESPONSE])

    assert_refused(browser, browser.submit_xml(xml, response), "unsigned")


def test_edited_message_is_refused_although_its_assertion_is_whole(browser: LoginBrowser) -> None:
    """A signature of the message is optional, but must be valid."""
    response = browser.fetch_response(MARIA, signed="both")

    xml = mutations.mutate(
        response.xml, mutations.set_xml_attribute(RESPONSE, "IssueInstant", "2026-01-01T00:00:00Z")
    )

    assert_refused(browser, browser.submit_xml(xml, response), "signature")


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edited_response_is_refused(browser: LoginBrowser, signed: str, edit: Mutation) -> None:
    response = browser.fetch_response(ATTACKER, signed=signed)

    page = browser.submit_xml(mutations.mutate(response.xml, edit), response)

    # Other content may be refused before the signature is verified.
    assert_refused(browser, page, "signature", "audience", "issuer", "recipient")


def test_edited_response_without_its_signatures_is_refused(
    browser: LoginBrowser, signed: str
) -> None:
    response = browser.fetch_response(ATTACKER, signed=signed)

    edited = mutations.mutate(response.xml, mutations.set_subject(MARIA.subject))

    assert_refused(
        browser, browser.submit_xml(signatures.remove_signatures(edited), response), "unsigned"
    )


# --- Other keys --------------------------------------------------------------------------------


def test_response_signed_with_the_attackers_key_is_refused(
    browser: LoginBrowser, signed: str
) -> None:
    """The certificate inside the signature is not trusted."""
    response = browser.fetch_response(MARIA, signed=signed)

    xml = signatures.sign_anew(response.xml, make_key("attacker"))

    assert_refused(browser, browser.submit_xml(xml, response), "signature")


def test_response_signed_by_another_accounts_provider_is_refused(
    browser: LoginBrowser, other_connection: object, globex: Provider, signed: str
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)

    xml = signatures.sign_anew(response.xml, globex.signing)

    assert_refused(browser, browser.submit_xml(xml, response), "signature")


@pytest.mark.parametrize("form", ["certificate, PEM", "certificate, DER", "key, PEM", "key, DER"])
def test_public_key_is_no_secret_to_sign_with(
    browser: LoginBrowser, example: Provider, signed: str, form: str
) -> None:
    response = browser.fetch_response(ATTACKER, signed=signed)
    edited = mutations.mutate(response.xml, mutations.set_subject(MARIA.subject))

    xml = signatures.sign_with_public_key(
        edited, signatures.public_key_encodings(example.signing.certificate)[form]
    )

    assert_refused(browser, browser.submit_xml(xml, response), "algorithm")


@pytest.mark.parametrize(
    "weak",
    [SHA1, {"method": SHA1["method"]}, {"digest": SHA1["digest"]}],
    ids=["signature and digest", "signature", "digest"],
)
def test_sha_1_is_refused_even_from_the_provider(
    browser: LoginBrowser, example: Provider, signed: str, weak: dict[str, Any]
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)

    xml = signatures.sign_anew(response.xml, example.signing, **weak)

    assert_refused(browser, browser.submit_xml(xml, response), "algorithm")


# --- Expired and removed certificates ----------------------------------------------------


def test_certificate_that_has_ended_vouches_for_nobody(
    browser: LoginBrowser, now: datetime, signed: str
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)
    Certificate.objects.update(not_after=now - timedelta(seconds=1))

    assert_refused(browser, browser.submit(response), "no_certificate")


def test_certificate_that_is_not_good_yet_vouches_for_nobody(
    browser: LoginBrowser, now: datetime
) -> None:
    response = browser.fetch_response(MARIA)
    Certificate.objects.update(not_before=now + timedelta(hours=1))

    assert_refused(browser, browser.submit(response), "no_certificate")


def test_removed_certificate_vouches_for_nobody(
    browser: LoginBrowser,
    administrator: Membership,
    roll_over: Callable[[], Provider],
    now: datetime,
    signed: str,
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)
    old = Certificate.objects.get()
    roll_over()

    connections.remove_certificate(certificate=old, by=Actor.member(administrator), at=now)

    assert_refused(browser, browser.submit(response), "signature")


@pytest.mark.parametrize("which", ["old", "new"])
def test_both_certificates_count_while_one_follows_the_other(
    browser: LoginBrowser,
    example: Provider,
    roll_over: Callable[[], Provider],
    which: str,
    signed: str,
) -> None:
    rolled = roll_over()
    response = browser.fetch_response(MARIA, signed=signed)
    signing = example.signing if which == "old" else rolled.signing

    browser.submit_xml(signatures.sign_anew(response.xml, signing), response)

    assert browser.is_signed_in
