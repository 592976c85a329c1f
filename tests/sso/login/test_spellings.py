"""A provider that writes a person's name or address otherwise than before signs in the same one."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.authorization.actor import Actor, EntryPoint
from accounts.email_addresses import SURROUNDING
from accounts.models import Membership
from accounts.roles import Role
from sso.login import services as login
from sso.login.attributes import name_of
from sso.models import Connection, Subject
from sso.name_ids import is_same
from sso.saml.errors import Refused
from tests.factories import MembershipFactory, SubjectFactory
from tests.idp.keys import SigningKey
from tests.sso import login_steps
from tests.sso.saml_responses import (
    EMAIL_FORMAT,
    PERSISTENT,
    make_assertion,
    response_xml,
    sign_and_encode,
)

BY = Actor(through=EntryPoint.PORTAL)
NOW = datetime(2026, 5, 5, tzinfo=UTC)
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
LogIn = Callable[..., Membership]


@pytest.fixture
def log_in(trusted: Connection) -> LogIn:
    number = iter(range(1000))

    def act(name_id: str, name_id_format: str = EMAIL_FORMAT, **facts: Any) -> Membership:
        facts |= {"name_id": name_id, "name_id_format": name_id_format}
        assertion = make_assertion(at=NOW, assertion_id=f"_{next(number)}", **facts)
        return login.log_in_with_assertion(connection=trusted, assertion=assertion, by=BY, at=NOW)

    return act


@pytest.fixture
def maria(trusted: Connection) -> Membership:
    return MembershipFactory.create(
        account=trusted.account, user__email="maria@example.com", role=Role.USERS
    )


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.code


@pytest.mark.django_db
@pytest.mark.both
@pytest.mark.parametrize("later", ["Maria@Example.com", "MARIA@EXAMPLE.COM", "maria@example.com"])
def test_address_as_the_name_may_change_its_case(
    log_in: LogIn, maria: Membership, later: str
) -> None:
    log_in("mAria@example.com")

    assert log_in(later) == maria
    assert Subject.objects.get().name_id == "mAria@example.com"


@pytest.mark.django_db
def test_address_as_the_name_may_be_another_than_the_mail(log_in: LogIn, maria: Membership) -> None:
    log_in("m.lopez@corp.example")

    assert log_in("M.Lopez@corp.example") == maria


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "first_format", "later", "later_format"),
    [
        ("Maria@example.com", UNSPECIFIED, "maria@example.com", UNSPECIFIED),
        ("Maria@example.com", "", "maria@example.com", ""),
        ("Maria@example.com", PERSISTENT, "maria@example.com", PERSISTENT),
        ("Maria@example.com", EMAIL_FORMAT, "maria@example.com", UNSPECIFIED),
        ("MLopez", UNSPECIFIED, "mlopez", UNSPECIFIED),
        ("abc", PERSISTENT, " abc\n", PERSISTENT),
        ("José", UNSPECIFIED, "Jose\u0301", UNSPECIFIED),
    ],
)
def test_other_names_may_be_spelled_otherwise_beside_the_members_own_address(
    log_in: LogIn, maria: Membership, first: str, first_format: str, later: str, later_format: str
) -> None:
    log_in(first, first_format)

    assert log_in(later, later_format) == maria
    assert Subject.objects.get().name_id == later
    assert log_in(first, first_format) == maria


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["other@example.com", None])
def test_other_names_differ_by_their_case_without_the_members_own_address(
    log_in: LogIn, trusted: Connection, maria: Membership, email: str | None
) -> None:
    other = MembershipFactory.create(account=trusted.account, user__email="other@example.com")
    log_in("Maria", PERSISTENT)

    if email is None:
        assert refused(lambda: log_in("maria", PERSISTENT, email=None)) == "no_email"
    else:
        assert log_in("maria", PERSISTENT, email=email) == other
    assert Subject.objects.get(membership=maria).name_id == "Maria"


@pytest.mark.django_db
def test_persistent_name_that_looks_like_an_address_is_no_spelling_of_one(
    log_in: LogIn, trusted: Connection, maria: Membership
) -> None:
    other = MembershipFactory.create(account=trusted.account, user__email="other@example.com")
    SubjectFactory.create(
        connection=trusted, membership=other, name_id="MARIA@example.com", name_id_format=PERSISTENT
    )

    assert log_in("maria@example.com") == maria


@pytest.mark.django_db
def test_two_people_whose_names_differ_by_case_stay_two(
    log_in: LogIn, trusted: Connection, maria: Membership
) -> None:
    other = MembershipFactory.create(account=trusted.account, user__email="other@example.com")
    for member, name in ((maria, "maria@example.com"), (other, "Maria@example.com")):
        SubjectFactory.create(
            connection=trusted, membership=member, name_id=name, name_id_format=EMAIL_FORMAT
        )

    assert [log_in("maria@example.com"), log_in("Maria@example.com")] == [maria, other]
    assert refused(lambda: log_in("MARIA@example.com")) == "other_name"


@pytest.mark.django_db
def test_link_of_before_formats_were_kept_is_found_by_the_members_own_address(
    log_in: LogIn, trusted: Connection, maria: Membership
) -> None:
    other = MembershipFactory.create(account=trusted.account, user__email="other@example.com")
    SubjectFactory.create(connection=trusted, membership=maria, name_id="Maria@example.com")
    SubjectFactory.create(connection=trusted, membership=other, name_id="Boss@example.com")

    assert log_in("maria@example.com") == maria
    # Nobody has this address, and the link does not say that it is one.
    with pytest.raises(Refused):
        log_in("boss@example.com", email="maria@example.com")


@pytest.mark.django_db
def test_name_of_another_connection_is_no_spelling(
    log_in: LogIn, trusted: Connection, maria: Membership
) -> None:
    SubjectFactory.create(name_id="Maria@example.com", name_id_format=EMAIL_FORMAT)

    assert log_in("maria@example.com") == maria


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sent",
    [
        ["maria@example.com", "maria@example.com"],
        ["maria@example.com", "Maria@Example.COM", " maria@example.com "],
        ["maria@example.com", "", " "],
    ],
)
def test_address_may_be_sent_twice(log_in: LogIn, maria: Membership, sent: list[str]) -> None:
    assert log_in("7f3a", PERSISTENT, email=None, attributes={"mail": sent}) == maria


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sent",
    [
        ["maria@example.com", "other@example.com"],
        ["maria@example.com", "no address"],
        ["maria@example.com", "maria@еxample.com"],  # a Cyrillic letter
        [],
    ],
)
def test_two_addresses_are_none(log_in: LogIn, maria: Membership, sent: list[str]) -> None:
    attributes = {"mail": sent}

    assert refused(lambda: log_in("7f3a", PERSISTENT, email=None, attributes=attributes)) == (
        "no_email"
    )


@pytest.mark.django_db
def test_whole_attribute_may_be_sent_twice(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    request = login_steps.decode_request(login_steps.start_login(client, trusted)).get("ID", "")
    xml = response_xml(trusted, at=datetime.now(UTC), request=request)
    start, end = xml.index(b"<saml:Attribute "), xml.index(b"</saml:AttributeStatement>")
    xml = xml[:end] + xml[start:end].replace(b"maria@", b"Maria@") + xml[end:]

    answer = client.post(
        reverse("sso:acs", args=[trusted.slug]), {"SAMLResponse": sign_and_encode(xml, signing)}
    )
    client.get(answer["Location"])

    assert Subject.objects.get().membership == maria


@pytest.mark.django_db
def test_name_that_is_sent_twice_is_one(trusted: Connection) -> None:
    assertion = make_assertion(
        at=NOW, attributes={"displayName": ["Jose\u0301 Díaz", "José Díaz ", "José Díaz"]}
    )

    assert name_of(trusted, assertion) == "José Díaz"


ADDRESSES = st.sampled_from(
    ["a@x.example", "A@x.example", "a@X.example", "b@x.example", "a+b@x.example", "ä@x.example"]
) | st.text(max_size=5).map(lambda text: f"{text}@x.example")


@given(ADDRESSES, ADDRESSES)
def test_addresses_are_the_same_if_only_ascii_case_differs(one: str, other: str) -> None:
    if is_same(one, EMAIL_FORMAT, other, EMAIL_FORMAT):
        assert one == other or (
            one.strip(SURROUNDING).lower() == other.strip(SURROUNDING).lower()
            and one.strip(SURROUNDING).isascii()
        )
    assert is_same(one, PERSISTENT, other, EMAIL_FORMAT) == (one == other)
    assert is_same(one, EMAIL_FORMAT, one, EMAIL_FORMAT)
