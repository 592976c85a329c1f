"""The same attacks on responses of another maker: SimpleSAMLphp builds and signs them otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import pytest

from accounts.models import Membership
from tests.idp import mutations, signatures, wrapping
from tests.idp.login import Guest, connect
from tests.idp.mutations import ASSERTION, RESPONSE, SUBJECT
from tests.idp.samlp import Answer
from tests.idp.simplesamlphp import SimpleSAMLphp
from tests.idp.wrapping import Shape
from tests.sso.attacks.conftest import assert_refused

pytestmark = [pytest.mark.simplesamlphp, pytest.mark.django_db]

BOSS = "boss-0001"


class Arrival(NamedTuple):
    """Maria's browser, and what it is to carry to the portal."""

    guest: Guest
    answer: Answer
    certificate: str


@pytest.fixture
def arrival(administrator: Membership, simple_provider: SimpleSAMLphp, now: datetime) -> Arrival:
    guest = Guest(connect(administrator, simple_provider, domain="globex.example", at=now))
    certificate = (simple_provider.folder / "provider.crt").read_text()
    return Arrival(guest, simple_provider.answer(guest.ask()), certificate)


def test_true_response_lets_somebody_in(arrival: Arrival) -> None:
    arrival.guest.bring(arrival.answer)

    assert arrival.guest.is_in
    member = Membership.objects.get(user=arrival.guest.user_id)
    assert (member.user.email, member.user.name) == ("maria@globex.example", "Maria Example")


def test_it_signs_message_and_assertion(arrival: Arrival) -> None:
    """So that the attacks below have both signatures against them."""
    root = mutations.read(arrival.answer.xml)

    assert signatures.signed_paths(root) == [ASSERTION, RESPONSE]


@pytest.mark.parametrize("shape", Shape)
def test_wrapped_response_is_refused(arrival: Arrival, shape: Shape) -> None:
    xml = wrapping.wrap(arrival.answer.xml, shape, mutations.say_subject(BOSS))
    assert signatures.fools_the_careless(xml, arrival.certificate)
    assert signatures.careless_subject(xml) == BOSS

    page = arrival.guest.bring_xml(xml, arrival.answer)

    assert_refused(arrival.guest, page, "shape")


@pytest.mark.parametrize("paths", [[ASSERTION], [ASSERTION, RESPONSE]], ids=["one", "all"])
def test_stripped_response_is_refused(arrival: Arrival, paths: list[str]) -> None:
    page = arrival.guest.bring_xml(signatures.unsigned(arrival.answer.xml, paths), arrival.answer)

    assert_refused(arrival.guest, page, "unsigned")


@pytest.mark.parametrize("path", [SUBJECT, ".//saml:AttributeValue"], ids=["subject", "attribute"])
def test_edited_response_is_refused(arrival: Arrival, path: str) -> None:
    page = arrival.guest.bring_xml(
        mutations.changed(arrival.answer.xml, mutations.say(path, BOSS)), arrival.answer
    )

    assert_refused(arrival.guest, page, "signature")


def test_comment_inside_the_subject_is_refused(arrival: Arrival) -> None:
    xml = mutations.changed(arrival.answer.xml, mutations.comment_inside(SUBJECT, before="-7f3a"))
    assert signatures.fools_the_careless(xml, arrival.certificate)

    assert_refused(arrival.guest, arrival.guest.bring_xml(xml, arrival.answer), "odd_node")


def test_response_is_good_once(arrival: Arrival) -> None:
    arrival.guest.bring(arrival.answer)
    arrival.guest.client.logout()

    assert_refused(arrival.guest, arrival.guest.bring(arrival.answer), "other_request")
