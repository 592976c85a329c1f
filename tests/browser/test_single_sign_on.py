"""Signing in through identity providers made by others, in a real browser: two companies, each with
a provider of its own."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.browser import sso_steps
from tests.browser.axe import Looks
from tests.browser.conftest import Visit, Visits
from tests.browser.test_guide import create, row_of
from tests.idp.samlp import Person, Provider
from tests.portal import Portal, served_portal

pytestmark = [pytest.mark.browser, pytest.mark.samlp]

ADMINISTRATOR, GLOBEX_ADMINISTRATOR = "admin@acme.example", "admin@globex.example"
MARIA = Person("maria-7f3a", "maria@staff.example", "Maria Example")
OTTO = Person("otto-11", "otto@staff.example", "Otto Example")
SIGN_IN_THERE = re.compile("Sign in at")


class Company(NamedTuple):
    """An account whose people come through a provider of its own."""

    provider: Provider
    direct_address: str


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """One of this module's own: other tests sign in by password."""
    with served_portal(tmp_path_factory.mktemp("portal")) as running:
        sso_steps.make_operator(running)
        sso_steps.make_account(running, "Acme", ADMINISTRATOR)
        yield running


@pytest.fixture
def company(visit: Visits, portal: Portal, providers: dict[str, Provider]) -> Company:
    """Acme, set up on its pages, once."""
    return set_up(visit, ADMINISTRATOR, providers["example"], "staff.example")


def set_up(visit: Visits, administrator: str, provider: Provider, domain: str) -> Company:
    window = visit(administrator)
    sso_steps.open_page(window)
    if not window.page.get_by_role("button", name="Set up single sign-on").is_visible():
        return Company(provider, sso_steps.direct_address(window))
    tell(provider, sso_steps.begin(window))
    sso_steps.bring_metadata(window, provider.metadata())
    sso_steps.choose_attributes(window, email="mail", name="displayName", takes_new_people=True)
    sso_steps.ask_for_domain(window, domain)
    operator = visit()
    sso_steps.sign_in_as_operator(operator)
    sso_steps.approve_domain(operator, domain)
    sso_steps.begin_test(window)
    be(window.page, MARIA)
    expect(window.page.get_by_text(MARIA.subject)).to_be_visible()
    sso_steps.switch_on(window)
    assert window.troubles == []
    return Company(provider, sso_steps.direct_address(window))


def tell(provider: Provider, metadata_url: str) -> None:
    """Give the provider the portal's metadata."""
    with urllib.request.urlopen(metadata_url) as answer:
        provider.register_service(answer.read())


def be(page: Page, person: Person) -> None:
    """At the provider, say who one is."""
    expect(page.get_by_role("heading", name=SIGN_IN_THERE)).to_be_visible()
    page.get_by_label("User name").fill(person.subject)
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Name", exact=True).fill(person.name)
    page.get_by_label("Signed").select_option("both")
    page.get_by_role("button", name="Sign in").click()


def is_good(portal: Portal, token: str) -> bool:
    """Whether the API takes the token."""
    request = urllib.request.Request(
        f"{portal.url}/iam/clients/me", headers={"Authorization": f"APIKey {token}"}
    )
    try:
        with urllib.request.urlopen(request):
            return True
    except urllib.error.HTTPError as refused:
        if refused.code != 401:
            raise
        return False


def expect_tokens(page: Page) -> None:
    expect(page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()


def unfold_warning(page: Page) -> None:
    page.locator("summary", has_text="tokens stay active").click()


def test_new_person_arrives_by_the_direct_address(visit: Visits, company: Company) -> None:
    window = visit()
    window.page.goto(company.direct_address)
    be(window.page, MARIA)

    expect_tokens(window.page)
    expect(window.page.get_by_text("Acme").first).to_be_visible()
    assert window.troubles == []


def test_address_of_the_domain_leads_to_the_provider(visit: Visits, company: Company) -> None:
    window = visit()
    window.go("/sign-in/")
    window.page.get_by_label("Email").fill(OTTO.email)
    window.page.get_by_role("button", name="Continue").click()
    be(window.page, OTTO)

    expect_tokens(window.page)
    assert window.troubles == []


def test_everybody_with_the_domain_is_led_there_known_or_not(
    visit: Visits, company: Company
) -> None:
    window = visit()
    window.go("/sign-in/")
    window.page.get_by_label("Email").fill("nobody@staff.example")
    window.page.get_by_role("button", name="Continue").click()

    expect(window.page.get_by_role("heading", name=SIGN_IN_THERE)).to_be_visible()


def test_signing_in_leads_back_to_the_page_that_was_asked_for(
    visit: Visits, company: Company
) -> None:
    window = visit()
    window.go("/profile/security/")
    window.page.get_by_label("Email").fill(MARIA.email)
    window.page.get_by_role("button", name="Continue").click()
    be(window.page, MARIA)

    expect(window.page).to_have_url(re.compile(r"/profile/security/$"))


@pytest.mark.parametrize("page", ["https://elsewhere.example/", "//elsewhere.example/"])
def test_signing_in_leads_to_no_other_site(visit: Visits, company: Company, page: str) -> None:
    window = visit()
    window.page.goto(f"{company.direct_address}?next={page}")
    be(window.page, MARIA)

    expect_tokens(window.page)
    assert not any("elsewhere" in each for each in window.requests if "next=" not in each)


def test_person_without_scripts_arrives_too(visit: Visits, company: Company) -> None:
    window = visit(java_script_enabled=False)
    window.go("/sign-in/")
    window.page.get_by_label("Email").fill(MARIA.email)
    window.page.get_by_role("button", name="Continue").click()
    be(window.page, MARIA)
    window.page.get_by_role("button", name="Submit").click()  # samlp's own page

    expect_tokens(window.page)


def test_same_subject_and_address_of_another_companys_provider_is_somebody_else(
    visit: Visits, company: Company, providers: dict[str, Provider]
) -> None:
    maria = visit()
    maria.page.goto(company.direct_address)
    be(maria.page, MARIA)
    expect_tokens(maria.page)
    globex = set_up(visit, GLOBEX_ADMINISTRATOR, providers["globex"], "globex.example")

    impostor = visit()
    impostor.page.goto(globex.direct_address)
    be(impostor.page, MARIA)
    expect(impostor.page.get_by_role("heading", name="You are not signed in")).to_be_visible()

    impostor.page.goto(globex.direct_address)
    be(impostor.page, MARIA._replace(email="maria@globex.example"))
    expect_tokens(impostor.page)
    expect(impostor.page.get_by_text("Globex").first).to_be_visible()
    expect(impostor.page.get_by_text("Acme")).to_have_count(0)


def test_signing_out_signs_out_at_the_provider_too(visit: Visits, company: Company) -> None:
    window = visit()
    window.page.goto(company.direct_address)
    be(window.page, OTTO)
    expect_tokens(window.page)
    window.go("/sign-out/")
    window.page.get_by_role("button", name="Sign out").click()

    expect(window.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert any(each.startswith(company.provider.slo_url) for each in window.requests)
    window.go("/profile/")
    expect(window.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert window.troubles == []


def test_what_the_guide_says_of_single_sign_on_is_true_on_the_screen(
    visit: Visits, company: Company, portal: Portal
) -> None:
    """What the provider revokes, tokens survive, and people are told; an Administrator ends it."""
    otto = visit()
    otto.page.goto(company.direct_address)
    be(otto.page, OTTO)
    expect_tokens(otto.page)
    unfold_warning(otto.page)
    expect(otto.page.get_by_text("You are one of these people.")).to_be_visible()
    otto.page.get_by_role("link", name="Create API token").first.click()
    expect(otto.page.get_by_text("If it revokes your access, we aren't notified")).to_be_visible()
    token = create(otto.page, "Nightly backup", "Users")
    assert is_good(portal, token)

    administrator = visit(ADMINISTRATOR).page
    unfold_warning(administrator)
    administrator.get_by_role("link", name="Show tokens of people who sign in through SSO").click()
    administrator.get_by_label("Issued by").fill("Otto Example")
    administrator.get_by_role("button", name="Apply").click()
    administrator.get_by_role("link", name="Delete all of this person's tokens").click()
    administrator.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row_of(administrator, "Nightly backup")).to_have_count(0)

    assert not is_good(portal, token)


def test_axe_finds_nothing_on_the_pages_of_single_sign_on(
    visit: Visits, company: Company, looks: Looks
) -> None:
    window = visit(ADMINISTRATOR)
    sso_steps.open_page(window)
    for path in ("", "provider/", "settings/", "test/result/"):
        window.go(f"{sso_steps.SINGLE_SIGN_ON}{path}")
        looks.at(window.page, path)
    window.go(f"{sso_steps.SINGLE_SIGN_ON}remove/")
    expect(window.page.get_by_role("dialog", name="Remove single sign-on")).to_be_visible()
    looks.at(window.page, "removal")
    see_unlinking(window, visit(), company, looks)
    stranger: Visit = visit()
    stranger.page.goto(company.direct_address)
    be(stranger.page, Person("eve", "eve@elsewhere.example"))
    expect(stranger.page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    looks.at(stranger.page, "refused")
    assert looks.found == {}


def see_unlinking(window: Visit, arriving: Visit, company: Company, looks: Looks) -> None:
    """The question before someone who has arrived is unlinked."""
    arriving.page.goto(company.direct_address)
    be(arriving.page, OTTO)
    expect_tokens(arriving.page)
    window.go("/profile/users/")
    window.page.get_by_label(f"Actions for {OTTO.name}").click()
    window.page.get_by_role("link", name="Unlink from single sign-on").click()
    expect(window.page.get_by_role("dialog", name="Unlink from single sign-on")).to_be_visible()
    looks.at(window.page, "unlinking")
