"""Validly signed responses that must be refused: for another service, browser or time, replays."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.conf import settings

from accounts.models import Membership
from sso.models import Connection
from sso.saml import endpoints
from tests.idp import mutations, signatures
from tests.idp.login import LoginBrowser
from tests.idp.mutations import ASSERTION, AUDIENCE, CONDITIONS, CONFIRMATION, RESPONSE, Mutation
from tests.idp.samlp import Provider
from tests.sso.attacks.conftest import MARIA, assert_refused

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]

ACS = "{acs}"
"""Placeholder of the portal's Assertion Consumer Service."""

ELSEWHERE = "https://elsewhere.example/"
SUBJECT_CONFIRMATION = f"{ASSERTION}/saml:Subject/saml:SubjectConfirmation"
BY_KEY = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
FAILED = "urn:oasis:names:tc:SAML:2.0:status:Responder"


def in_response_to(request: str | None, *paths: str) -> list[Mutation]:
    """Set InResponseTo, or remove it (None)."""
    return [mutations.set_xml_attribute(path, "InResponseTo", request) for path in paths]


WRONG: dict[str, tuple[str, list[Mutation]]] = {
    "in response to another": ("other_request", in_response_to("_x", RESPONSE, CONFIRMATION)),
    "message in response to another": ("recipient", in_response_to("_x", RESPONSE)),
    "assertion in response to another": ("recipient", in_response_to("_x", CONFIRMATION)),
    "in response to nothing": ("unsolicited", in_response_to(None, RESPONSE, CONFIRMATION)),
    "message in response to nothing": ("unsolicited", in_response_to(None, RESPONSE)),
    "assertion in response to nothing": ("other_request", in_response_to(None, CONFIRMATION)),
    "destination elsewhere": (
        "destination",
        [mutations.set_xml_attribute(RESPONSE, "Destination", ELSEWHERE)],
    ),
    "destination below": (
        "destination",
        [mutations.set_xml_attribute(RESPONSE, "Destination", f"{ACS}more/")],
    ),
    "destination empty": (
        "destination",
        [mutations.set_xml_attribute(RESPONSE, "Destination", "")],
    ),
    "no destination": ("destination", [mutations.set_xml_attribute(RESPONSE, "Destination", None)]),
    "recipient elsewhere": (
        "recipient",
        [mutations.set_xml_attribute(CONFIRMATION, "Recipient", ELSEWHERE)],
    ),
    "recipient that names us": (
        "recipient",
        [mutations.set_xml_attribute(CONFIRMATION, "Recipient", f"{ELSEWHERE}?{ACS}")],
    ),
    "no recipient": ("recipient", [mutations.set_xml_attribute(CONFIRMATION, "Recipient", None)]),
    "no confirmation": ("recipient", [mutations.remove(SUBJECT_CONFIRMATION)]),
    "confirmation by key": (
        "recipient",
        [mutations.set_xml_attribute(SUBJECT_CONFIRMATION, "Method", BY_KEY)],
    ),
    "other audience": ("audience", [mutations.set_text(AUDIENCE, ELSEWHERE)]),
    "empty audience": ("audience", [mutations.set_text(AUDIENCE, "")]),
    "no audience": ("audience", [mutations.remove(f"{CONDITIONS}/saml:AudienceRestriction")]),
    "no conditions": ("invalid", [mutations.remove(CONDITIONS)]),
    "no end": ("invalid", [mutations.set_xml_attribute(CONFIRMATION, "NotOnOrAfter", None)]),
    "end that is none": (
        "invalid",
        [mutations.set_xml_attribute(CONFIRMATION, "NotOnOrAfter", "tomorrow")],
    ),
    "issued by another": ("issuer", [mutations.set_text(f"{ASSERTION}/saml:Issuer", ELSEWHERE)]),
    "message issued by another": ("issuer", [mutations.set_text("saml:Issuer", ELSEWHERE)]),
    "no subject": ("recipient", [mutations.remove(f"{ASSERTION}/saml:Subject")]),
    "empty subject": ("no_name", [mutations.set_subject("")]),
    "blank subject": ("no_name", [mutations.set_subject(" \n ")]),
    "endless subject": ("no_name", [mutations.set_subject("m" * 300)]),
    "subject of two lines": ("no_name", [mutations.set_subject("maria\n7f3a")]),
    "no statement": ("invalid", [mutations.remove(f"{ASSERTION}/saml:AuthnStatement")]),
    "two assertions": ("shape", [mutations.duplicate(ASSERTION)]),
    "status of a failure": (
        "status",
        [mutations.set_xml_attribute("samlp:Status/samlp:StatusCode", "Value", FAILED)],
    ),
    "other version": ("not_a_response", [mutations.set_xml_attribute(RESPONSE, "Version", "1.1")]),
}


def at_portal(browser: LoginBrowser, xml: bytes) -> bytes:
    """Replace the placeholder by the portal's URL."""
    return xml.replace(ACS.encode(), f"{settings.BASE_URL}{browser.acs}".encode())


@pytest.mark.parametrize(
    "signed",
    ["both", *(pytest.param(alone, marks=pytest.mark.long) for alone in ("assertion", "message"))],
    indirect=True,
)
@pytest.mark.parametrize(("code", "changes"), WRONG.values(), ids=WRONG)
def test_signed_response_with_wrong_contents_is_refused(
    browser: LoginBrowser, example: Provider, signed: str, code: str, changes: list[Mutation]
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)

    forged = at_portal(browser, mutations.mutate(response.xml, *changes))
    page = browser.submit_xml(signatures.sign_anew(forged, example.signing), response)

    assert_refused(browser, page, code)


@pytest.mark.parametrize("minutes", [3, 60 * 24], ids=["a little more than clocks differ", "a day"])
def test_response_that_is_too_late_is_refused(
    browser: LoginBrowser, example: Provider, now: datetime, signed: str, minutes: int
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)
    late = mutations.set_validity(not_on_or_after=now - timedelta(minutes=minutes))

    xml = signatures.sign_anew(mutations.mutate(response.xml, late), example.signing)

    assert_refused(browser, browser.submit_xml(xml, response), "too_late", "recipient")


@pytest.mark.parametrize("path", [CONDITIONS, CONFIRMATION], ids=["conditions", "confirmation"])
def test_one_end_that_has_passed_is_enough(
    browser: LoginBrowser, example: Provider, now: datetime, path: str
) -> None:
    response = browser.fetch_response(MARIA)
    ended = mutations.format_instant(now - timedelta(minutes=3))

    xml = mutations.mutate(response.xml, mutations.set_xml_attribute(path, "NotOnOrAfter", ended))

    page = browser.submit_xml(signatures.sign_anew(xml, example.signing), response)

    assert_refused(browser, page, "too_late", "recipient")


@pytest.mark.parametrize("minutes", [3, 60 * 24], ids=["a little more than clocks differ", "a day"])
def test_response_that_is_too_early_is_refused(
    browser: LoginBrowser, example: Provider, now: datetime, signed: str, minutes: int
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)
    early = mutations.set_validity(not_before=now + timedelta(minutes=minutes))

    xml = signatures.sign_anew(mutations.mutate(response.xml, early), example.signing)

    assert_refused(browser, browser.submit_xml(xml, response), "too_early")


def test_clocks_may_differ_by_a_minute(
    browser: LoginBrowser, example: Provider, now: datetime
) -> None:
    response = browser.fetch_response(MARIA)
    early = mutations.set_validity(not_before=now + timedelta(minutes=1))

    xml = signatures.sign_anew(mutations.mutate(response.xml, early), example.signing)
    browser.submit_xml(xml, response)

    assert browser.is_signed_in


# --- Replay, and other browsers ----------------------------------------------------------


@pytest.mark.both
def test_response_is_good_once(browser: LoginBrowser, signed: str) -> None:
    response = browser.fetch_response(MARIA, signed=signed)
    browser.submit(response)
    assert browser.is_signed_in
    browser.client.logout()

    assert_refused(browser, browser.submit(response), "other_request")


@pytest.mark.both
def test_response_is_good_once_even_if_the_browser_still_waits_for_it(
    browser: LoginBrowser, signed: str
) -> None:
    """Also for a thief with a copy of the browser's session from before."""
    response = browser.fetch_response(MARIA, signed=signed)
    thief = LoginBrowser(browser.connection, browser.provider)
    name = settings.SESSION_COOKIE_NAME
    thief.client.cookies[name] = browser.client.cookies[name].value
    browser.submit(response)
    assert browser.is_signed_in

    assert_refused(thief, thief.submit(response), "replayed")


@pytest.mark.both
def test_assertion_is_good_once_in_another_message_too(
    browser: LoginBrowser, example: Provider
) -> None:
    """Only the assertion is signed, so that an attacker can build a new message around it."""
    response = browser.fetch_response(MARIA, signed="assertion")
    thief = LoginBrowser(browser.connection, browser.provider)
    name = settings.SESSION_COOKIE_NAME
    thief.client.cookies[name] = browser.client.cookies[name].value
    browser.submit(response)

    xml = mutations.mutate(
        response.xml, mutations.set_xml_attribute(RESPONSE, "ID", "_another-message")
    )

    assert_refused(thief, thief.submit_xml(xml, response), "replayed")


def test_response_for_another_browser_is_refused(browser: LoginBrowser, signed: str) -> None:
    """Login CSRF: a form on an attacker's page posts the attacker's response."""
    victim = LoginBrowser(browser.connection, browser.provider)

    page = victim.submit(browser.fetch_response(MARIA, signed=signed))

    assert_refused(victim, page, "other_request")


def test_response_for_another_request_of_another_browser_is_refused(
    browser: LoginBrowser, signed: str
) -> None:
    """Also while that browser has a request of its own."""
    victim = LoginBrowser(browser.connection, browser.provider)
    victim.start_login()

    page = victim.submit(browser.fetch_response(MARIA, signed=signed))

    assert_refused(victim, page, "other_request")


def test_message_cannot_be_redirected_to_another_request(browser: LoginBrowser) -> None:
    """Only the assertion is signed: the message's own InResponseTo can be edited."""
    victim = LoginBrowser(browser.connection, browser.provider)
    own = victim.fetch_response(MARIA, signed="assertion")
    waited_for = mutations.parse(own.xml).get("InResponseTo")
    foreign = browser.fetch_response(MARIA, signed="assertion")

    xml = mutations.mutate(
        foreign.xml, mutations.set_xml_attribute(RESPONSE, "InResponseTo", waited_for)
    )

    assert_refused(victim, victim.submit_xml(xml, own), "recipient")


def test_unsolicited_response_is_refused(browser: LoginBrowser, signed: str) -> None:
    service = endpoints.entity_id(browser.connection)
    response = browser.provider.respond_unsolicited(service, MARIA, signed=signed)
    assert mutations.parse(response.xml).get("InResponseTo") is None

    assert_refused(browser, browser.submit(response), "unsolicited")


def test_unsolicited_response_is_refused_while_another_is_awaited(
    browser: LoginBrowser, signed: str
) -> None:
    browser.start_login()
    service = endpoints.entity_id(browser.connection)

    page = browser.submit(browser.provider.respond_unsolicited(service, MARIA, signed=signed))

    assert_refused(browser, page, "unsolicited")


def test_response_at_another_accounts_address_is_refused(
    browser: LoginBrowser, other_connection: Connection, globex: Provider, signed: str
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)
    other = LoginBrowser(other_connection, globex)
    other.client = browser.client
    other.start_login()

    page = other.post(response.fields)

    assert_refused(other, page, "issuer", "destination", "audience")


def test_provider_cannot_answer_for_another_accounts_provider(
    browser: LoginBrowser, other_connection: Connection, globex: Provider, signed: str
) -> None:
    """Also if it is known to the portal, and all other content is as expected."""
    response = browser.fetch_response(MARIA, signed=signed)

    forged = mutations.mutate(
        response.xml,
        mutations.set_text("saml:Issuer", globex.entity_id),
        mutations.set_text(f"{ASSERTION}/saml:Issuer", globex.entity_id),
    )

    page = browser.submit_xml(signatures.sign_anew(forged, globex.signing), response)

    assert_refused(browser, page, "issuer")


# --- One subject and one address at two providers -----------------------------------------------


def test_subject_of_one_provider_is_nobody_at_another(
    browser: LoginBrowser, other_connection: Connection, globex: Provider
) -> None:
    """Two companies' providers name the same subject, with the same address."""
    browser.sign_in(MARIA)
    assert browser.is_signed_in
    elsewhere = LoginBrowser(other_connection, globex)

    page = elsewhere.sign_in(MARIA)

    assert_refused(elsewhere, page, "domain")


def test_same_subject_at_two_providers_is_two_people(
    browser: LoginBrowser, other_connection: Connection, globex: Provider
) -> None:
    browser.sign_in(MARIA)
    elsewhere = LoginBrowser(other_connection, globex)

    elsewhere.sign_in(MARIA._replace(email="maria@globex.example"))

    assert elsewhere.is_signed_in
    assert elsewhere.user_id != browser.user_id
    member = Membership.objects.get(user=elsewhere.user_id)
    assert member.account_id == other_connection.account_id
