"""What was signed moves aside, and something false takes its place; and names with a hole."""

from __future__ import annotations

import pytest

from tests.idp import mutations, signatures, wrapping
from tests.idp.login import Visitor
from tests.idp.mutations import SUBJECT, Element
from tests.idp.samlp import Person, Provider
from tests.idp.wrapping import Shape
from tests.sso.attacks.conftest import ATTACKER, MARIA, assert_refused

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]


def be_maria(root: Element) -> None:
    """Say Maria's name and address wherever the attacker's own stand."""
    mutations.say_subject(MARIA.subject)(root)
    mutations.say_attribute("mail", MARIA.email)(root)


@pytest.mark.parametrize("shape", Shape)
def test_wrapped_response_is_refused(visitor: Visitor, signed: str, shape: Shape) -> None:
    answer = visitor.fetch(ATTACKER, signed=signed)

    page = visitor.bring_xml(wrapping.wrap(answer.xml, shape, be_maria), answer)

    assert_refused(visitor, page, "shape")


@pytest.mark.parametrize("shape", Shape)
def test_wrapped_response_would_fool_a_careless_portal(
    visitor: Visitor, example: Provider, signed: str, shape: Shape
) -> None:
    """The attacks are real: all signatures in them are good, and the first assertion is false."""
    answer = visitor.fetch(ATTACKER, signed=signed)

    wrapped = wrapping.wrap(answer.xml, shape, be_maria)

    assert signatures.fools_the_careless(wrapped, example.signing.certificate)
    assert signatures.careless_subject(wrapped) == MARIA.subject


def test_two_assertions_of_one_id_are_refused(visitor: Visitor, signed: str) -> None:
    answer = visitor.fetch(ATTACKER, signed=signed)

    page = visitor.bring_xml(wrapping.same_ids(answer.xml, be_maria), answer)

    assert_refused(visitor, page, "shape", "duplicate_id")


def test_response_inside_a_response_is_refused(visitor: Visitor, signed: str) -> None:
    answer = visitor.fetch(ATTACKER, signed=signed)

    page = visitor.bring_xml(wrapping.nested(answer.xml, be_maria), answer)

    assert_refused(visitor, page, "shape")


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
    visitor: Visitor, example: Provider, signed: str, path: str, person: Person
) -> None:
    """No signature covers comments: what stands before one could pass for the whole."""
    answer = visitor.fetch(person, signed=signed)
    xml = mutations.changed(answer.xml, mutations.comment_inside(path, before=".evil"))
    assert signatures.fools_the_careless(xml, example.signing.certificate)

    assert_refused(visitor, visitor.bring_xml(xml, answer), "odd_node")
