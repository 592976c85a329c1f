"""XML signature wrapping, and comments inside signed names."""

from __future__ import annotations

import pytest

from tests.idp import mutations, signatures, wrapping
from tests.idp.login import LoginBrowser
from tests.idp.mutations import SUBJECT, Element
from tests.idp.samlp import Person, Provider
from tests.idp.wrapping import Wrapping
from tests.sso.attacks.conftest import ATTACKER, MARIA, assert_refused

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]


def be_maria(root: Element) -> None:
    """Replace the attacker's name and address by Maria's."""
    mutations.set_subject(MARIA.subject)(root)
    mutations.set_attribute_value("mail", MARIA.email)(root)


@pytest.mark.parametrize("variant", Wrapping)
def test_wrapped_response_is_refused(browser: LoginBrowser, signed: str, variant: Wrapping) -> None:
    response = browser.fetch_response(ATTACKER, signed=signed)

    page = browser.submit_xml(wrapping.wrap(response.xml, variant, be_maria), response)

    assert_refused(browser, page, "shape")


@pytest.mark.parametrize("variant", Wrapping)
def test_wrapped_response_would_fool_a_careless_portal(
    browser: LoginBrowser, example: Provider, signed: str, variant: Wrapping
) -> None:
    """The attacks are real: all signatures in them are valid, and the first assertion is false."""
    response = browser.fetch_response(ATTACKER, signed=signed)

    wrapped = wrapping.wrap(response.xml, variant, be_maria)

    assert signatures.passes_naive_verifier(wrapped, example.signing.certificate)
    assert signatures.naive_subject(wrapped) == MARIA.subject


def test_two_assertions_of_one_id_are_refused(browser: LoginBrowser, signed: str) -> None:
    response = browser.fetch_response(ATTACKER, signed=signed)

    page = browser.submit_xml(wrapping.duplicate_id(response.xml, be_maria), response)

    assert_refused(browser, page, "shape", "duplicate_id")


def test_response_inside_a_response_is_refused(browser: LoginBrowser, signed: str) -> None:
    response = browser.fetch_response(ATTACKER, signed=signed)

    page = browser.submit_xml(wrapping.nest_response(response.xml, be_maria), response)

    assert_refused(browser, page, "shape")


@pytest.mark.parametrize(
    ("path", "person"),
    [
        (SUBJECT, Person(f"{MARIA.subject}.evil", ATTACKER.email, "Mallory")),
        (
            ".//saml:Attribute[@Name='mail']/saml:AttributeValue",
            Person("mallory-01", f"{MARIA.email}.evil.example", "Mallory"),
        ),
    ],
    ids=["subject", "e-mail"],
)
def test_comment_inside_a_name_is_refused(
    browser: LoginBrowser, example: Provider, signed: str, path: str, person: Person
) -> None:
    """Canonicalization drops comments: the text before one could pass for the whole."""
    response = browser.fetch_response(person, signed=signed)
    xml = mutations.mutate(response.xml, mutations.insert_comment(path, before=".evil"))
    assert signatures.passes_naive_verifier(xml, example.signing.certificate)

    assert_refused(browser, browser.submit_xml(xml, response), "odd_node")
