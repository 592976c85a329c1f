"""The operators' pages in a real browser: under the strict Content-Security-Policy, and legible."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import Looks
from tests.browser.conftest import Visit, Visits, sign_in_by_password
from tests.browser.test_guide import both_ways
from tests.portal import Portal

pytestmark = pytest.mark.browser

OPERATOR, PASSWORD = "operator@example.com", "a pass phrase for the test"


@pytest.fixture(scope="module")
def operator(portal: Portal) -> None:
    portal.shell.command("create_operator", OPERATOR, "--password-stdin", typed=PASSWORD)


def enter(window: Visit) -> Page:
    window.enter(OPERATOR, PASSWORD)
    window.go("/operators/")
    expect(window.page.get_by_role("heading", name="Accounts, users and tokens")).to_be_visible()
    return window.page


def test_operator_is_led_through_the_sign_in_page(visit: Visits, operator: None) -> None:
    window = visit()
    window.go("/operators/")
    sign_in_by_password(window.page, OPERATOR, PASSWORD)

    expect(window.page.get_by_role("heading", name="Accounts, users and tokens")).to_be_visible()
    assert window.troubles == []


def test_life_of_a_verifier_key_is_accessible(visit: Visits, operator: None, looks: Looks) -> None:
    window = visit()
    page = enter(window)

    def look(step: str, heading: str) -> None:
        expect(page.get_by_role("heading", name=heading).first).to_be_visible()
        assert window.troubles == [], step
        looks.at(page, step)
        window.troubles.clear()  # axe has styles of its own

    window.go("/operators/apitokens/verifierkey/add/")
    page.get_by_label("Name:").fill("Video storage")
    page.get_by_role("button", name="Save").click()
    look("shown", "New verifier key created")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    page.get_by_role("link", name="OK, I've copied the key").click()
    look("list", "verifier key to view")
    page.get_by_role("link", name="Video storage").first.click()
    look("page", "View verifier key")
    page.get_by_role("link", name="Delete").click()
    look("delete", "Delete")
    page.get_by_role("button", name="Delete verifier key").click()
    expect(page.get_by_text("was deleted successfully")).to_be_visible()
    look("deleted", "Accounts, users and tokens")

    assert looks.found == {}


@both_ways
def test_life_of_a_service_of_all_accounts_is_accessible(
    visit: Visits, operator: None, looks: Looks, scripts: bool
) -> None:
    code = "video" if scripts else "radio"
    window = visit(java_script_enabled=scripts)
    page = enter(window)

    def look(step: str) -> None:
        if scripts:
            assert window.troubles == [], step
            looks.at(page, step)
            window.troubles.clear()  # axe has styles of its own

    page.get_by_role("link", name="Services").last.click()
    page.get_by_role("link", name="Add service").click()
    page.get_by_label("Code").fill(code)
    page.get_by_label("Name:", exact=True).fill(f"The {code}")
    page.get_by_label("Name in other languages").fill("fr=Films")
    page.get_by_label("Scopes").fill("upload | Upload | de=Hochladen")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Write names in other languages as de=Name.")).to_be_visible()
    assert all("400 (Bad Request)" in each for each in window.troubles)
    window.troubles.clear()
    look("refused")
    page.get_by_label("Name in other languages").fill("de=Filme")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    look("list")
    window.go("/operators/apitokens/verifierkey/add/")
    page.get_by_label("Name:").fill(f"Edge of {code}")
    page.get_by_label("Service").select_option(code)
    look("verifier key of a service")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="New verifier key created")).to_be_visible()
    look("verifier key, once")

    window.go("/operators/apitokens/service/")
    page.get_by_role("link", name=code, exact=True).click()
    look("page")
    page.get_by_role("link", name="Delete").click()
    look("question")
    page.get_by_role("button", name="Delete service").click()
    expect(page.get_by_text(f"The verifier key “Edge of {code}” is bound")).to_be_visible()
    look("refused removal")
    window.go("/operators/apitokens/verifierkey/")
    page.get_by_role("link", name=f"Edge of {code}").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete verifier key").click()
    window.go("/operators/apitokens/service/")
    page.get_by_role("link", name=code, exact=True).click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete service").click()
    expect(page.get_by_text("was deleted successfully")).to_be_visible()
    expect(page.get_by_role("link", name=code, exact=True)).to_have_count(0)

    assert looks.found == {}


def test_account_of_a_new_member_is_chosen_in_a_popup(visit: Visits, operator: None) -> None:
    window = visit()
    page = enter(window)
    window.go("/operators/accounts/membership/add/")
    with page.expect_popup() as opened:
        page.locator("#lookup_id_account").click()
    opened.value.get_by_role("link", name="Globex").click()
    expect(page.locator("#id_account")).not_to_have_value("")
    assert window.troubles == []


def test_operator_finds_and_deletes_a_token(visit: Visits, operator: None) -> None:
    page = enter(visit())
    page.get_by_role("link", name="API tokens").last.click()
    page.get_by_role("textbox", name="Search").fill("Prefetch of campaign")
    page.get_by_role("button", name="Search").click()

    page.get_by_role("link", name="Prefetch of campaign pages").click()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("lose access immediately")).to_be_visible()
    page.get_by_role("button", name="Delete API token").click()

    expect(page.get_by_text("was deleted successfully")).to_be_visible()


def test_operator_who_thinks_better_of_it_deletes_nothing(visit: Visits, operator: None) -> None:
    page = enter(visit())
    page.get_by_role("link", name="API tokens").last.click()
    page.get_by_role("textbox", name="Search").fill("Webinar demo")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("checkbox", name="Webinar demo").check()
    page.get_by_role("combobox", name="Action:").select_option("Delete selected API tokens")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_text("Delete this API token?")).to_be_visible()

    page.get_by_role("link", name="Cancel").click()

    expect(page.get_by_role("row").filter(has_text="Webinar demo")).to_contain_text("Expired")
