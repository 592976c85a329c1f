"""Responses whose signatures are missing, wrong, weak, or somebody else's."""

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
from tests.idp.login import Visitor
from tests.idp.mutations import ASSERTION, RESPONSE, Change
from tests.idp.samlp import Provider
from tests.sso.attacks.conftest import ATTACKER, MARIA, assert_refused

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]

SHA1: dict[str, Any] = {"method": constants.TransformRsaSha1, "digest": constants.TransformSha1}

EDITS: dict[str, Change] = {
    "subject": mutations.say_subject(MARIA.subject),
    "e-mail": mutations.say_attribute("mail", MARIA.email),
    "role": mutations.say_attribute("role", "Administrators"),
    "audience": mutations.say(mutations.AUDIENCE, "http://localhost:8000/"),
    "issuer": mutations.say(f"{ASSERTION}/saml:Issuer", "https://idp.example/"),
    "in response to": mutations.put(mutations.CONFIRMATION, "InResponseTo", "_other"),
    "end": mutations.put(mutations.CONDITIONS, "NotOnOrAfter", "2999-01-01T00:00:00Z"),
}


# --- What is let in, so that a refusal means something ------------------------------------------


def test_true_response_lets_somebody_in(visitor: Visitor, signed: str) -> None:
    visitor.sign_in(MARIA, signed=signed)

    assert visitor.is_in


def test_response_that_the_provider_signs_again_lets_somebody_in(
    visitor: Visitor, example: Provider, signed: str
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)

    visitor.bring_xml(signatures.sign_again(answer.xml, example.signing), answer)

    assert visitor.is_in


def test_signed_message_with_an_unsigned_assertion_is_refused(visitor: Visitor) -> None:
    """Assertions are what is kept and believed: they have to be signed themselves."""
    assert_refused(visitor, visitor.sign_in(MARIA, signed="message"), "unsigned")


# --- Stripped and edited -----------------------------------------------------------------------


def test_response_without_any_signature_is_refused(visitor: Visitor, signed: str) -> None:
    answer = visitor.fetch(MARIA, signed=signed)

    assert_refused(visitor, visitor.bring_xml(signatures.unsigned(answer.xml), answer), "unsigned")


def test_assertion_without_its_signature_is_refused(visitor: Visitor) -> None:
    answer = visitor.fetch(MARIA, signed="both")

    page = visitor.bring_xml(signatures.unsigned(answer.xml, [ASSERTION]), answer)

    assert_refused(visitor, page, "unsigned")


def test_message_without_its_signature_is_refused(visitor: Visitor) -> None:
    """The provider signed both in the test: so it always does."""
    Connection.objects.update(signs_messages=True)
    answer = visitor.fetch(MARIA, signed="both")

    page = visitor.bring_xml(signatures.unsigned(answer.xml, [RESPONSE]), answer)

    assert_refused(visitor, page, "unsigned_response")


def test_message_without_a_signature_is_taken_of_who_signs_none(visitor: Visitor) -> None:
    answer = visitor.fetch(MARIA, signed="both")

    visitor.bring_xml(signatures.unsigned(answer.xml, [RESPONSE]), answer)

    assert visitor.is_in


def test_unsigned_assertion_in_a_message_signed_anew_is_refused(
    visitor: Visitor, example: Provider
) -> None:
    answer = visitor.fetch(MARIA, signed="both")

    xml = signatures.sign_again(answer.xml, example.signing, paths=[RESPONSE])

    assert_refused(visitor, visitor.bring_xml(xml, answer), "unsigned")


def test_edited_message_is_refused_although_its_assertion_is_whole(visitor: Visitor) -> None:
    """A message may come unsigned. A signature that it has must be good."""
    answer = visitor.fetch(MARIA, signed="both")

    xml = mutations.changed(
        answer.xml, mutations.put(RESPONSE, "IssueInstant", "2026-01-01T00:00:00Z")
    )

    assert_refused(visitor, visitor.bring_xml(xml, answer), "signature")


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edited_response_is_refused(visitor: Visitor, signed: str, edit: Change) -> None:
    answer = visitor.fetch(ATTACKER, signed=signed)

    page = visitor.bring_xml(mutations.changed(answer.xml, edit), answer)

    # Other words may be noticed before the signature is looked at.
    assert_refused(visitor, page, "signature", "audience", "issuer", "recipient")


def test_edited_response_without_its_signatures_is_refused(visitor: Visitor, signed: str) -> None:
    answer = visitor.fetch(ATTACKER, signed=signed)

    edited = mutations.changed(answer.xml, mutations.say_subject(MARIA.subject))

    assert_refused(visitor, visitor.bring_xml(signatures.unsigned(edited), answer), "unsigned")


# --- Other keys --------------------------------------------------------------------------------


def test_response_signed_with_the_attackers_key_is_refused(visitor: Visitor, signed: str) -> None:
    """The certificate in the signature is whatever the signer put there."""
    answer = visitor.fetch(MARIA, signed=signed)

    xml = signatures.sign_again(answer.xml, make_key("attacker"))

    assert_refused(visitor, visitor.bring_xml(xml, answer), "signature")


def test_response_signed_by_another_accounts_provider_is_refused(
    visitor: Visitor, other_connection: object, globex: Provider, signed: str
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)

    xml = signatures.sign_again(answer.xml, globex.signing)

    assert_refused(visitor, visitor.bring_xml(xml, answer), "signature")


@pytest.mark.parametrize("form", ["certificate, PEM", "certificate, DER", "key, PEM", "key, DER"])
def test_public_key_is_no_secret_to_sign_with(
    visitor: Visitor, example: Provider, signed: str, form: str
) -> None:
    answer = visitor.fetch(ATTACKER, signed=signed)
    edited = mutations.changed(answer.xml, mutations.say_subject(MARIA.subject))

    xml = signatures.sign_with_public_key(
        edited, signatures.public_forms(example.signing.certificate)[form]
    )

    assert_refused(visitor, visitor.bring_xml(xml, answer), "algorithm")


@pytest.mark.parametrize(
    "weak",
    [SHA1, {"method": SHA1["method"]}, {"digest": SHA1["digest"]}],
    ids=["signature and digest", "signature", "digest"],
)
def test_sha_1_is_refused_even_from_the_provider(
    visitor: Visitor, example: Provider, signed: str, weak: dict[str, Any]
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)

    xml = signatures.sign_again(answer.xml, example.signing, **weak)

    assert_refused(visitor, visitor.bring_xml(xml, answer), "algorithm")


# --- Certificates that do not count any more ----------------------------------------------------


def test_certificate_that_has_ended_vouches_for_nobody(
    visitor: Visitor, now: datetime, signed: str
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)
    Certificate.objects.update(not_after=now - timedelta(seconds=1))

    assert_refused(visitor, visitor.bring(answer), "no_certificate")


def test_certificate_that_is_not_good_yet_vouches_for_nobody(
    visitor: Visitor, now: datetime
) -> None:
    answer = visitor.fetch(MARIA)
    Certificate.objects.update(not_before=now + timedelta(hours=1))

    assert_refused(visitor, visitor.bring(answer), "no_certificate")


def test_removed_certificate_vouches_for_nobody(
    visitor: Visitor,
    administrator: Membership,
    roll_over: Callable[[], Provider],
    now: datetime,
    signed: str,
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)
    old = Certificate.objects.get()
    roll_over()

    connections.remove_certificate(certificate=old, by=Actor.member(administrator), at=now)

    assert_refused(visitor, visitor.bring(answer), "signature")


@pytest.mark.parametrize("which", ["old", "new"])
def test_both_certificates_count_while_one_follows_the_other(
    visitor: Visitor,
    example: Provider,
    roll_over: Callable[[], Provider],
    which: str,
    signed: str,
) -> None:
    rolled = roll_over()
    answer = visitor.fetch(MARIA, signed=signed)
    signing = example.signing if which == "old" else rolled.signing

    visitor.bring_xml(signatures.sign_again(answer.xml, signing), answer)

    assert visitor.is_in
