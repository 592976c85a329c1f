"""Responses that the provider truly signs, and that still must not let anybody in: for another
portal, another browser, another time, or told twice."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.conf import settings

from accounts.models import Membership
from sso.models import Connection
from sso.saml import endpoints
from tests.idp import mutations, signatures
from tests.idp.login import Visitor
from tests.idp.mutations import ASSERTION, AUDIENCE, CONDITIONS, CONFIRMATION, RESPONSE, Change
from tests.idp.samlp import Provider
from tests.sso.attacks.conftest import MARIA, assert_refused

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]

ACS = "{acs}"
"""Stands for the address where the portal awaits responses."""

ELSEWHERE = "https://elsewhere.example/"
SUBJECT_CONFIRMATION = f"{ASSERTION}/saml:Subject/saml:SubjectConfirmation"
BY_KEY = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
FAILED = "urn:oasis:names:tc:SAML:2.0:status:Responder"


def answers(request: str | None, *paths: str) -> list[Change]:
    """It says that it answers this request, or none."""
    return [mutations.put(path, "InResponseTo", request) for path in paths]


WRONG: dict[str, tuple[str, list[Change]]] = {
    "in response to another": ("other_request", answers("_x", RESPONSE, CONFIRMATION)),
    "message in response to another": ("recipient", answers("_x", RESPONSE)),
    "assertion in response to another": ("recipient", answers("_x", CONFIRMATION)),
    "in response to nothing": ("unsolicited", answers(None, RESPONSE, CONFIRMATION)),
    "message in response to nothing": ("unsolicited", answers(None, RESPONSE)),
    "assertion in response to nothing": ("other_request", answers(None, CONFIRMATION)),
    "destination elsewhere": ("destination", [mutations.put(RESPONSE, "Destination", ELSEWHERE)]),
    "destination below": ("destination", [mutations.put(RESPONSE, "Destination", f"{ACS}more/")]),
    "destination empty": ("destination", [mutations.put(RESPONSE, "Destination", "")]),
    "no destination": ("destination", [mutations.put(RESPONSE, "Destination", None)]),
    "recipient elsewhere": ("recipient", [mutations.put(CONFIRMATION, "Recipient", ELSEWHERE)]),
    "recipient that names us": (
        "recipient",
        [mutations.put(CONFIRMATION, "Recipient", f"{ELSEWHERE}?{ACS}")],
    ),
    "no recipient": ("recipient", [mutations.put(CONFIRMATION, "Recipient", None)]),
    "no confirmation": ("recipient", [mutations.drop(SUBJECT_CONFIRMATION)]),
    "confirmation by key": ("recipient", [mutations.put(SUBJECT_CONFIRMATION, "Method", BY_KEY)]),
    "other audience": ("audience", [mutations.say(AUDIENCE, ELSEWHERE)]),
    "empty audience": ("audience", [mutations.say(AUDIENCE, "")]),
    "no audience": ("audience", [mutations.drop(f"{CONDITIONS}/saml:AudienceRestriction")]),
    "no conditions": ("invalid", [mutations.drop(CONDITIONS)]),
    "no end": ("invalid", [mutations.put(CONFIRMATION, "NotOnOrAfter", None)]),
    "end that is none": ("invalid", [mutations.put(CONFIRMATION, "NotOnOrAfter", "tomorrow")]),
    "issued by another": ("issuer", [mutations.say(f"{ASSERTION}/saml:Issuer", ELSEWHERE)]),
    "message issued by another": ("issuer", [mutations.say("saml:Issuer", ELSEWHERE)]),
    "no subject": ("recipient", [mutations.drop(f"{ASSERTION}/saml:Subject")]),
    "empty subject": ("no_name", [mutations.say_subject("")]),
    "blank subject": ("no_name", [mutations.say_subject(" \n ")]),
    "endless subject": ("no_name", [mutations.say_subject("m" * 300)]),
    "subject of two lines": ("no_name", [mutations.say_subject("maria\n7f3a")]),
    "no statement": ("invalid", [mutations.drop(f"{ASSERTION}/saml:AuthnStatement")]),
    "two assertions": ("shape", [mutations.double(ASSERTION)]),
    "status of a failure": (
        "status",
        [mutations.put("samlp:Status/samlp:StatusCode", "Value", FAILED)],
    ),
    "other version": ("not_a_response", [mutations.put(RESPONSE, "Version", "1.1")]),
}


def at_portal(visitor: Visitor, xml: bytes) -> bytes:
    """With the portal's address where a change has left its place."""
    return xml.replace(ACS.encode(), f"{settings.BASE_URL}{visitor.acs}".encode())


@pytest.mark.parametrize(("code", "changes"), WRONG.values(), ids=WRONG)
def test_signed_response_with_wrong_words_is_refused(
    visitor: Visitor, example: Provider, signed: str, code: str, changes: list[Change]
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)

    lie = at_portal(visitor, mutations.changed(answer.xml, *changes))
    page = visitor.bring_xml(signatures.sign_again(lie, example.signing), answer)

    assert_refused(visitor, page, code)


@pytest.mark.parametrize("minutes", [3, 60 * 24], ids=["a little more than clocks differ", "a day"])
def test_response_that_is_too_late_is_refused(
    visitor: Visitor, example: Provider, now: datetime, signed: str, minutes: int
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)
    late = mutations.move_times(not_on_or_after=now - timedelta(minutes=minutes))

    xml = signatures.sign_again(mutations.changed(answer.xml, late), example.signing)

    assert_refused(visitor, visitor.bring_xml(xml, answer), "too_late", "recipient")


@pytest.mark.parametrize("path", [CONDITIONS, CONFIRMATION], ids=["conditions", "confirmation"])
def test_one_end_that_has_passed_is_enough(
    visitor: Visitor, example: Provider, now: datetime, path: str
) -> None:
    answer = visitor.fetch(MARIA)
    ended = mutations.instant(now - timedelta(minutes=3))

    xml = mutations.changed(answer.xml, mutations.put(path, "NotOnOrAfter", ended))

    page = visitor.bring_xml(signatures.sign_again(xml, example.signing), answer)

    assert_refused(visitor, page, "too_late", "recipient")


@pytest.mark.parametrize("minutes", [3, 60 * 24], ids=["a little more than clocks differ", "a day"])
def test_response_that_is_too_early_is_refused(
    visitor: Visitor, example: Provider, now: datetime, signed: str, minutes: int
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)
    early = mutations.move_times(not_before=now + timedelta(minutes=minutes))

    xml = signatures.sign_again(mutations.changed(answer.xml, early), example.signing)

    assert_refused(visitor, visitor.bring_xml(xml, answer), "too_early")


def test_clocks_may_differ_by_a_minute(visitor: Visitor, example: Provider, now: datetime) -> None:
    answer = visitor.fetch(MARIA)
    early = mutations.move_times(not_before=now + timedelta(minutes=1))

    xml = signatures.sign_again(mutations.changed(answer.xml, early), example.signing)
    visitor.bring_xml(xml, answer)

    assert visitor.is_in


# --- Told twice, or to the wrong ones ----------------------------------------------------------


@pytest.mark.both
def test_response_is_good_once(visitor: Visitor, signed: str) -> None:
    answer = visitor.fetch(MARIA, signed=signed)
    visitor.bring(answer)
    assert visitor.is_in
    visitor.client.logout()

    assert_refused(visitor, visitor.bring(answer), "other_request")


@pytest.mark.both
def test_response_is_good_once_even_if_the_browser_still_waits_for_it(
    visitor: Visitor, signed: str
) -> None:
    """A thief who has the browser's session as it was before, too, comes too late."""
    answer = visitor.fetch(MARIA, signed=signed)
    thief = Visitor(visitor.connection, visitor.provider)
    session = thief.client.session
    session.update(dict(visitor.client.session.items()))
    session.save()
    visitor.bring(answer)
    assert visitor.is_in

    assert_refused(thief, thief.bring(answer), "replayed")


@pytest.mark.both
def test_assertion_is_good_once_in_another_message_too(visitor: Visitor, example: Provider) -> None:
    """Only the assertion is signed: the message around it can be made anew."""
    answer = visitor.fetch(MARIA, signed="assertion")
    thief = Visitor(visitor.connection, visitor.provider)
    session = thief.client.session
    session.update(dict(visitor.client.session.items()))
    session.save()
    visitor.bring(answer)

    xml = mutations.changed(answer.xml, mutations.put(RESPONSE, "ID", "_another-message"))

    assert_refused(thief, thief.bring_xml(xml, answer), "replayed")


def test_response_for_another_browser_is_refused(visitor: Visitor, signed: str) -> None:
    """Who carries somebody else's response here, by a form on a page of theirs, gets nowhere."""
    victim = Visitor(visitor.connection, visitor.provider)

    page = victim.bring(visitor.fetch(MARIA, signed=signed))

    assert_refused(victim, page, "other_request")


def test_response_for_another_request_of_another_browser_is_refused(
    visitor: Visitor, signed: str
) -> None:
    """Not even when that browser waits for one itself."""
    victim = Visitor(visitor.connection, visitor.provider)
    victim.ask()

    page = victim.bring(visitor.fetch(MARIA, signed=signed))

    assert_refused(victim, page, "other_request")


def test_message_cannot_be_turned_to_another_request(visitor: Visitor) -> None:
    """Only the assertion is signed: the message's own InResponseTo can be edited."""
    victim = Visitor(visitor.connection, visitor.provider)
    own = victim.fetch(MARIA, signed="assertion")
    waited_for = mutations.read(own.xml).get("InResponseTo")
    foreign = visitor.fetch(MARIA, signed="assertion")

    xml = mutations.changed(foreign.xml, mutations.put(RESPONSE, "InResponseTo", waited_for))

    assert_refused(victim, victim.bring_xml(xml, own), "recipient")


def test_unsolicited_response_is_refused(visitor: Visitor, signed: str) -> None:
    service = endpoints.entity_id(visitor.connection)
    answer = visitor.provider.say(service, MARIA, signed=signed)
    assert mutations.read(answer.xml).get("InResponseTo") is None

    assert_refused(visitor, visitor.bring(answer), "unsolicited")


def test_unsolicited_response_is_refused_while_another_is_awaited(
    visitor: Visitor, signed: str
) -> None:
    visitor.ask()
    service = endpoints.entity_id(visitor.connection)

    page = visitor.bring(visitor.provider.say(service, MARIA, signed=signed))

    assert_refused(visitor, page, "unsolicited")


def test_response_at_another_accounts_address_is_refused(
    visitor: Visitor, other_connection: Connection, globex: Provider, signed: str
) -> None:
    answer = visitor.fetch(MARIA, signed=signed)
    other = Visitor(other_connection, globex)
    other.client = visitor.client
    other.ask()

    page = other.post(answer.fields)

    assert_refused(other, page, "issuer", "destination", "audience")


def test_provider_cannot_answer_for_another_accounts_provider(
    visitor: Visitor, other_connection: Connection, globex: Provider, signed: str
) -> None:
    """Even one that is known to the portal, and says in all other words what is awaited."""
    answer = visitor.fetch(MARIA, signed=signed)

    lie = mutations.changed(
        answer.xml,
        mutations.say("saml:Issuer", globex.entity_id),
        mutations.say(f"{ASSERTION}/saml:Issuer", globex.entity_id),
    )

    page = visitor.bring_xml(signatures.sign_again(lie, globex.signing), answer)

    assert_refused(visitor, page, "issuer")


# --- One subject and one address at two providers -----------------------------------------------


def test_subject_of_one_provider_is_nobody_at_another(
    visitor: Visitor, other_connection: Connection, globex: Provider
) -> None:
    """Two companies' providers name the same subject, with the same address."""
    visitor.sign_in(MARIA)
    assert visitor.is_in
    elsewhere = Visitor(other_connection, globex)

    page = elsewhere.sign_in(MARIA)

    assert_refused(elsewhere, page, "domain")


def test_same_subject_at_two_providers_is_two_people(
    visitor: Visitor, other_connection: Connection, globex: Provider
) -> None:
    visitor.sign_in(MARIA)
    elsewhere = Visitor(other_connection, globex)

    elsewhere.sign_in(MARIA._replace(email="maria@globex.example"))

    assert elsewhere.is_in
    assert elsewhere.user_id != visitor.user_id
    member = Membership.objects.get(user=elsewhere.user_id)
    assert member.account_id == other_connection.account_id
