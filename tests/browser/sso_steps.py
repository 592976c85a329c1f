"""How an Administrator and an operator set single sign-on up, step by step on their pages."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, Visit
from tests.portal import Portal

OPERATOR, OPERATORS_PASSWORD = "ops@operators.example", "a long password of operators"
SINGLE_SIGN_ON = "/profile/account/single-sign-on/"


def make_operator(portal: Portal) -> None:
    """An operator who approves domains: no member of any account."""
    words = ("create_operator", OPERATOR, "--password-stdin")
    portal.shell.command(*words, typed=OPERATORS_PASSWORD)


def make_account(portal: Portal, name: str, administrator: str) -> None:
    """An account with nobody in it but an Administrator, whose password is everybody's."""
    words = ("create_account", name, "--administrator", administrator, "--password-stdin")
    portal.shell.command(*words, typed=OPERATORS_PASSWORD)
    portal.shell.run(
        "from accounts.models import User; "
        f"user = User.objects.get(email={administrator!r}); "
        f"user.set_password({PASSWORD!r}); user.save()"  # too easy to guess for any new password
    )


def sign_in_as_operator(window: Visit) -> None:
    window.enter(OPERATOR, OPERATORS_PASSWORD)
    window.go("/operators/")
    expect(window.page.get_by_role("link", name="Email domains").first).to_be_visible()


def open_page(window: Visit) -> None:
    """Account → Single sign-on. Who was not asked lately has to show once more who they are."""
    window.go("/profile/account/")
    window.page.get_by_role("link", name="Single sign-on").click()
    password = window.page.get_by_label("Password", exact=True)
    heading = window.page.get_by_role("heading", name="Single sign-on", level=1)
    expect(password.or_(heading)).to_be_visible()
    if password.is_visible():
        password.fill(PASSWORD)
        window.page.get_by_role("button", name="Continue").click()
    expect(heading).to_be_visible()


def begin(window: Visit) -> str:
    """Set up single sign-on; where the portal's metadata are."""
    open_page(window)
    window.page.get_by_role("button", name="Set up single sign-on").click()
    return window.page.locator("#entity-id").inner_text().strip()


def bring_metadata(window: Visit, metadata: str) -> None:
    open_page(window)
    window.page.get_by_role("link", name="Add metadata").click()
    window.page.get_by_label("Metadata as text").fill(metadata)
    save(window.page)


def choose_attributes(window: Visit, *, email: str, name: str, takes_new_people: bool) -> None:
    open_page(window)
    page = window.page
    page.get_by_role("link", name="Change the settings").click()
    page.get_by_label("Email attribute").fill(email)
    page.get_by_label("Name attribute").fill(name)
    page.get_by_label("can join the account by signing in").set_checked(takes_new_people)
    save(page)


def ask_for_domain(window: Visit, name: str) -> None:
    open_page(window)
    window.page.get_by_role("textbox", name="Domain").fill(name)
    window.page.get_by_role("button", name="Request this domain").click()
    expect(window.page.get_by_text("Waiting for the operator")).to_be_visible()


def approve_domain(window: Visit, name: str) -> None:
    """By the operator, in a window of theirs."""
    window.go("/operators/sso/domain/")
    page = window.page
    page.get_by_role("row").filter(has_text=name).get_by_role("checkbox").check()
    page.get_by_role("combobox", name="Action").select_option(label="Approve the selected domains")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_text("Done.")).to_be_visible()


def begin_test(window: Visit) -> None:
    """As far as the provider."""
    open_page(window)
    window.page.get_by_role("button", name="Test a sign-in").click()


def switch_on(window: Visit) -> None:
    open_page(window)
    window.page.get_by_role("button", name="Turn on").click()
    expect(window.page.get_by_text("People can sign in through the provider.")).to_be_visible()


def direct_address(window: Visit) -> str:
    open_page(window)
    return window.page.locator("#direct").inner_text().strip()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Single sign-on", level=1)).to_be_visible()
