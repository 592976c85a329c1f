"""A company gets its people together, with pages and mails alone; and axe looks at each of them."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import Looks
from tests.browser.conftest import Visit, Visits
from tests.browser.test_guide import both_ways, create
from tests.browser.test_signing_in import OWN_PASSWORD, newest_link, prove, sign_up

pytestmark = pytest.mark.browser

USERS = "/profile/users/"
REFUSED = re.compile("^Error:")


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def invite(window: Visit, email: str, role: str) -> None:
    page = window.page
    window.go(USERS)
    page.get_by_role("link", name="Invite a user").click()
    page.get_by_label("Email").fill(email)
    page.get_by_role("radio", name=role, exact=True).check()
    page.get_by_role("button", name="Send invitation").click()
    expect(page.get_by_text(f"An invitation has been sent to {email}")).to_be_visible()


def accept(window: Visit, email: str) -> None:
    """Open the link of the mail, give a name and a password, and be in."""
    window.page.goto(newest_link(window.portal, email))
    window.page.get_by_label("Your name").fill(email.partition("@")[0].capitalize())
    window.page.get_by_label("Choose a password").fill(OWN_PASSWORD)
    window.page.get_by_role("button", name="Set password and join").click()
    expect(window.page.get_by_text("Welcome to Globex.")).to_be_visible()


def time_zone(window: Visit) -> str:
    window.go("/profile/")
    return window.page.get_by_label("Time zone").input_value()


def create_token(window: Visit, name: str, role: str) -> str:
    """Create a token by the pages, from wherever the person is. Returns its text."""
    window.go("/profile/")
    token = create(window.page, name, role)
    window.page.get_by_role("link", name="OK, I've copied token").click()
    return token


def choose(page: Page, name: str, action: str) -> None:
    """Choose from the menu of a row."""
    row(page, name).get_by_label(re.compile("^Actions for")).click()
    row(page, name).get_by_role("link", name=action).click()


@both_ways
def test_company_grows_to_three_people_with_tokens_and_shrinks_again(
    visit: Visits, scripts: bool
) -> None:
    ann, bob, cyd = (visit(java_script_enabled=scripts, timezone_id="Asia/Baku") for _ in range(3))
    domain = "team.example" if scripts else "plain-team.example"
    sign_up(ann, f"ann@{domain}")
    invite(ann, f"bob@{domain}", "Engineers")
    invite(ann, f"cyd@{domain}", "Users")
    accept(bob, f"bob@{domain}")
    accept(cyd, f"cyd@{domain}")
    for window in (ann, bob):
        assert time_zone(window) == ("Asia/Baku" if scripts else "UTC")
    for window, name, role in (
        (ann, "Backup", "Administrators"),
        (bob, "Deploy", "Engineers"),
        (cyd, "Probe", "Users"),
    ):
        assert "$" in create_token(window, name, role)

    ann.go("/profile/api-tokens/")
    for name in ("Backup", "Deploy", "Probe"):
        expect(row(ann.page, name)).to_be_visible()
    bob.go("/profile/api-tokens/")
    expect(row(bob.page, "Deploy")).to_be_visible()
    expect(row(bob.page, "Backup")).to_have_count(0)

    ann.go(USERS)
    choose(ann.page, f"bob@{domain}", "Change role")
    ann.page.get_by_role("radio", name="Users", exact=True).check()
    ann.page.get_by_role("button", name="Save").click()
    refusal = "The specified user has issued a token with a higher role. Try using another role."
    expect(ann.page.get_by_text(refusal).first).to_be_visible()

    ann.go(USERS)
    choose(ann.page, f"bob@{domain}", "Remove user")
    prove(ann.page)
    ann.page.get_by_role("button", name="Remove user").click()
    refusal = "You can't remove the user as they have active tokens"
    expect(ann.page.get_by_text(refusal)).to_be_visible()
    ann.page.get_by_label(re.compile("Also delete this API token")).check()
    ann.page.get_by_role("button", name="Remove user").click()
    expect(row(ann.page, f"bob@{domain}")).to_have_count(0)
    ann.go("/profile/api-tokens/?status=deleted")
    expect(row(ann.page, "Deploy").locator("s")).to_have_text("Bob")

    bob.go("/profile/api-tokens/")
    bob.page.get_by_label("Company name").fill("Bob's own")
    bob.page.get_by_role("button", name="Create an account").click()
    expect(bob.page.get_by_text("You are its first Administrator")).to_be_visible()


def test_axe_finds_nothing_on_any_page_about_people(visit: Visits, looks: Looks) -> None:
    ann, bob, stranger = visit(), visit(), visit()
    domain = "all-looks.example" if looks.sees_all else "looks.example"
    sign_up(ann, f"ann@{domain}")
    ann.go(USERS)
    looks.at(ann.page, "users, alone")
    invite(ann, f"bob@{domain}", "Engineers")
    looks.at(ann.page, "users, one invited")
    link = newest_link(ann.portal, f"bob@{domain}")
    ann.page.goto(link)
    looks.at(ann.page, "invitation of somebody else")
    bob.page.goto(link)
    looks.at(bob.page, "invitation")
    accept(bob, f"bob@{domain}")
    create_token(bob, "Deploy", "Engineers")
    stranger.page.goto(link)
    looks.at(stranger.page, "invitation that was used")
    bob.go(USERS)
    looks.at(bob.page, "users, seen by one of them")

    ann.go(USERS)
    row(ann.page, f"bob@{domain}").get_by_label(re.compile("^Actions for")).click()
    looks.at(ann.page, "menu of a user")
    ann.go(USERS)
    choose(ann.page, f"bob@{domain}", "Change role")
    expect(ann.page.get_by_role("heading", name="Change role")).to_be_visible()
    looks.at(ann.page, "role")
    ann.page.get_by_role("radio", name="Users", exact=True).check()
    ann.page.get_by_role("button", name="Save").click()
    expect(ann.page).to_have_title(REFUSED)
    looks.at(ann.page, "role refused")
    ann.go(USERS)
    choose(ann.page, f"bob@{domain}", "Remove user")
    prove(ann.page)
    expect(ann.page.get_by_role("dialog")).to_be_visible()
    looks.at(ann.page, "removal")
    ann.page.get_by_role("button", name="Remove user").click()
    expect(ann.page.get_by_text("You can't remove the user")).to_be_visible()
    looks.at(ann.page, "removal refused")
    ann.page.get_by_label(re.compile("Also delete this API token")).check()
    ann.page.get_by_role("button", name="Remove user").click()
    expect(row(ann.page, f"bob@{domain}")).to_have_count(0)
    bob.go(USERS)
    looks.at(bob.page, "no account")
    bob.page.get_by_role("button", name="Create an account").click()
    expect(bob.page).to_have_title(REFUSED)
    looks.at(bob.page, "account without a name")

    ann.go("/profile/account/")
    looks.at(ann.page, "account")
    ann.page.get_by_role("link", name="Leave").click()
    expect(ann.page.get_by_role("heading", name="Leave the account")).to_be_visible()
    looks.at(ann.page, "leaving")
    ann.page.get_by_role("button", name="Leave the account").click()
    expect(ann.page.get_by_text("This is the account's last Administrator")).to_be_visible()
    looks.at(ann.page, "leaving refused")
    ann.go("/profile/email/")
    ann.page.get_by_label("New email").fill(f"ann@moved-{domain}")
    ann.page.get_by_role("button", name="Send link").click()
    expect(ann.page.get_by_role("heading", name="Check your email")).to_be_visible()
    looks.at(ann.page, "new address asked for")
    ann.page.goto(newest_link(ann.portal, f"ann@moved-{domain}"))
    looks.at(ann.page, "new address")
    for path in ("/profile/audit-log/", "/profile/audit-log/?person=zz", "/profile/security/",
                 "/profile/security/recovery-codes/new/", "/sign-out/"):  # fmt: skip
        ann.go(path)
        looks.at(ann.page, path)
    assert looks.found == {}
