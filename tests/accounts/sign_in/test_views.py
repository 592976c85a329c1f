"""The sign-in page: one field first, which leads on by the domain alone."""

import re

import pytest
from django.test import Client

from accounts.models import Membership
from sso.models import Connection, Domain
from tests.factories import PASSWORD, DomainFactory, MembershipFactory

pytestmark = pytest.mark.django_db

PAGE = "/sign-in/"
ASKS_FOR_PASSWORD = 'name="password"'


@pytest.fixture
def domain(db: None) -> Domain:
    """example.com, for which a provider speaks."""
    return DomainFactory.create(name="example.com")


@pytest.fixture
def maria(domain: Domain) -> Membership:
    return MembershipFactory.create(
        account=domain.connection.account, user__email="maria@example.com"
    )


def lead_on(client: Client, email: str, **fields: str) -> str:
    answer = client.post(PAGE, {"login": email, **fields})
    assert answer.status_code == 200
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())


def test_page_asks_for_the_address_first(client: Client) -> None:
    page = client.get(PAGE).content.decode()

    assert 'name="login"' in page
    assert ASKS_FOR_PASSWORD not in page


def test_address_leads_to_the_password(client: Client, domain: Domain) -> None:
    page = lead_on(client, "anna@elsewhere.example")

    assert ASKS_FOR_PASSWORD in page
    assert "anna@elsewhere.example" in page


def test_address_of_a_domain_leads_to_its_provider(client: Client, maria: Membership) -> None:
    page = lead_on(client, "Maria@Example.com")

    assert f"/sign-in/sso/{maria.account.connection.slug}/" in page
    assert ASKS_FOR_PASSWORD not in page


@pytest.mark.parametrize("domain_of_typed", ["example.com", "elsewhere.example"])
def test_page_does_not_tell_whether_the_address_is_known(
    client: Client, maria: Membership, domain_of_typed: str
) -> None:
    MembershipFactory.create(user__email="maria@elsewhere.example")

    known = lead_on(client, f"maria@{domain_of_typed}")
    unknown = lead_on(client, f"nadia@{domain_of_typed}")

    assert known.replace("maria@", "nadia@") == unknown


def test_password_can_be_chosen_instead(client: Client, maria: Membership) -> None:
    assert ASKS_FOR_PASSWORD in lead_on(client, "maria@example.com", way="password")


def test_page_has_one_primary_button_and_a_link_to_address_and_password_at_once(
    client: Client,
) -> None:
    page = client.get(PAGE, {"next": "/profile/"}).content.decode()

    assert page.count("button--primary") == 1
    assert 'href="/sign-in/?next=%2Fprofile%2F&amp;way=password"' in page
    both = client.get(PAGE, {"next": "/profile/", "way": "password"}).content.decode()
    assert ASKS_FOR_PASSWORD in both
    assert 'name="login"' in both
    assert 'name="next"' in both


def test_way_to_the_provider_leads_back_to_the_page_that_was_asked_for(
    client: Client, domain: Domain
) -> None:
    assert "?next=%2Fprofile%2F" in lead_on(client, "a@example.com", next="/profile/")


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_way_to_the_provider_leads_to_no_other_site(
    client: Client, domain: Domain, wanted: str
) -> None:
    assert "next=" not in lead_on(client, "a@example.com", next=wanted)


@pytest.mark.parametrize(
    "facts",
    [{"connection__is_on": False}, {"approved_at": None}],
    ids=["switched off", "not approved"],
)
def test_domain_that_is_not_in_force_leads_to_the_password(
    client: Client, domain: Domain, facts: dict[str, object]
) -> None:
    Connection.objects.filter(pk=domain.connection_id).update(
        **{key.removeprefix("connection__"): value for key, value in facts.items() if "__" in key}
    )
    Domain.objects.update(**{key: value for key, value in facts.items() if "__" not in key})

    assert ASKS_FOR_PASSWORD in lead_on(client, "a@example.com")


@pytest.mark.parametrize("email", ["", "nobody", "mária@example.com"])
def test_what_is_no_address_is_said_so(client: Client, email: str) -> None:
    answer = client.post(PAGE, {"login": email})

    assert answer.status_code == 400
    assert ASKS_FOR_PASSWORD not in answer.content.decode()


def test_wrong_password_asks_for_the_password_again(client: Client, maria: Membership) -> None:
    answer = client.post(PAGE, {"login": "maria@example.com", "password": "wrong"})

    assert ASKS_FOR_PASSWORD in answer.content.decode()


def test_password_signs_in_where_single_sign_on_is_not_forced(
    client: Client, maria: Membership
) -> None:
    answer = client.post(PAGE, {"login": "maria@example.com", "password": PASSWORD})

    assert answer.status_code == 302
    assert client.session["_auth_user_id"] == str(maria.user_id)
