"""Each provider acts for the account of its address, whatever else its person has open."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, User
from sso.models import Connection, Subject
from tests.factories import CertificateFactory, UserFactory
from tests.idp.keys import SigningKey, make_key
from tests.sso import login_steps
from tests.sso.logout.test_views import logout_request_path
from tests.tenancy.routes import routes
from tests.tenancy.two_accounts import Side, build

pytestmark = pytest.mark.django_db

WALKED = {"begin", "acs", "finish", "metadata", "sign_out", "sls"}
NAME_ID = "maria-7f3a"
"""What both providers call the person."""


@dataclass
class Company(Side):
    """An account whose provider's key the tests have."""

    signing: SigningKey

    def sent(self, browser: Client) -> str:
        """Begin a login there; returns the address at the provider."""
        return login_steps.start_login(browser, self.connection)

    def came_back(self, browser: Client, address: str, **facts: Any) -> Any:
        return login_steps.complete_login(
            browser, self.connection, self.signing, address,
            name_id=NAME_ID, email=self.person.user.email, **facts,
        )  # fmt: skip


@pytest.fixture
def companies() -> tuple[Company, Company]:
    person, colleague = UserFactory.create(), UserFactory.create()
    return _company("Acme", person, colleague), _company("Globex", person, colleague)


def _company(name: str, person: User, colleague: User) -> Company:
    side, signing = build(name, person, colleague, timezone.now()), make_key(name)
    CertificateFactory.create(connection=side.connection, pem=signing.certificate)
    Connection.objects.filter(pk=side.connection.pk).update(
        email_attribute="mail", slo_url=f"https://{name.lower()}.example/slo"
    )
    Subject.objects.filter(membership=side.person).update(name_id=NAME_ID)
    side.connection.refresh_from_db()
    return Company(**vars(side), signing=signing)


def shown_account(browser: Client) -> int:
    """The account that the browser's own addresses lead to."""
    return int(browser.get("/profile/api-tokens/")["Location"].split("/")[2])


def test_every_address_of_a_provider_is_walked() -> None:
    of_providers = {route.name for route in routes() if "slug" in route.arguments}
    assert of_providers == {f"sso:{name}" for name in WALKED}


def test_login_leads_into_the_account_of_its_provider_and_changes_no_other(
    client: Client, companies: tuple[Company, Company]
) -> None:
    a, b = companies
    to_a, to_b = a.sent(client), b.sent(client)
    kept = b.state()

    assert a.came_back(client, to_a).status_code == 302

    assert shown_account(client) == a.account.pk
    assert b.is_as(kept)
    changed = a.state()
    assert b.came_back(client, to_b).status_code == 302
    assert shown_account(client) == b.account.pk
    assert a.is_as(changed)
    assert set(Membership.objects.filter(sso_at=None, user=a.person.user)) == set()


def test_answer_of_one_provider_is_nothing_at_the_other(
    client: Client, companies: tuple[Company, Company]
) -> None:
    a, b = companies
    to_a, _to_b = a.sent(client), b.sent(client)
    kept = b.state()

    finish = reverse("sso:finish", args=[b.connection.slug])
    login_steps.complete_login(
        _Elsewhere(client, finish), a.connection, a.signing, to_a,
        name_id=NAME_ID, email=a.person.user.email,
    )  # fmt: skip

    assert "_auth_user_id" not in client.session
    assert b.is_as(kept)


class _Elsewhere(Client):
    """A browser that goes on to another address than it is sent to."""

    def __init__(self, browser: Client, path: str) -> None:
        super().__init__()
        self.cookies, self._path = browser.cookies, path

    def get(self, *_path: Any, **_facts: Any) -> Any:
        return super().get(self._path)


@pytest.mark.parametrize("is_first", [True, False], ids=["first account", "second account"])
def test_provider_signs_out_the_sessions_that_it_began(
    companies: tuple[Company, Company], is_first: bool
) -> None:
    ours, others = companies if is_first else companies[::-1]
    browsers = {each.account.pk: Client() for each in companies}
    for each in companies:
        browser = browsers[each.account.pk]
        each.came_back(browser, each.sent(browser))
    kept = others.state()

    Client().get(
        logout_request_path(ours.connection, ours.signing, name_id=NAME_ID, session="_session")
    )

    assert browsers[ours.account.pk].get("/profile/").status_code == 302
    assert browsers[others.account.pk].get("/profile/").status_code == 200
    assert others.is_as(kept)


def test_what_else_is_opened_at_a_provider_changes_nothing(
    client: Client, companies: tuple[Company, Company]
) -> None:
    """By who is signed in: a page of the other account is open beside it."""
    a, b = companies
    a.came_back(client, a.sent(client))
    client.get(reverse("accounts:account", args=[a.account.pk]))
    before = a.state(), b.state()

    for name in WALKED:
        for method in (client.get, client.post):
            method(reverse(f"sso:{name}", args=[b.connection.slug]))

    assert shown_account(client) == a.account.pk
    assert a.is_as(before[0])
    refusals = [event for event in b.state()[0] if event["kind"] == "sso.refused"]
    assert len(refusals) == len(b.state()[0]) - len(before[1][0])
    assert b.state()[1:] == before[1][1:]
