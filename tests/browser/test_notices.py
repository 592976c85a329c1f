"""The guide's section on expiration, followed in a real browser, from the notice to the mail."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import Looks, Violations, too_wide
from tests.browser.conftest import (
    ADMINISTRATOR,
    ENGINEER,
    PASSWORD,
    USER,
    Visit,
    Visits,
    sign_in_by_password,
)
from tests.browser.test_guide import both_ways, row_of
from tests.portal import Portal

pytestmark = pytest.mark.browser

PURGER = "purge@example.com"
INBOX, SETTINGS = "/accounts/1/notifications/", "/accounts/1/notifications/settings/"
SCAN_AND_SEND = (
    "from django.utils import timezone; from apitokens.expiry.scan import scan; "
    "from notifications.email.delivery import deliver; scan(at=timezone.now()); deliver()"
)


@pytest.fixture(scope="module")
def mails(portal: Portal) -> dict[str, EmailMessage]:
    """What the demo's tokens make the worker send, by the address it goes to."""
    portal.shell.run(SCAN_AND_SEND)
    files = (portal.data_dir / "mail").glob("*.log")
    written = [raw for file in files for raw in file.read_bytes().split(b"-" * 79) if raw.strip()]
    parsed = [message_from_bytes(raw.lstrip(), policy=policy.default) for raw in written]
    return {str(mail["To"]): mail for mail in parsed if isinstance(mail, EmailMessage)}


def link_of(mail: EmailMessage, header: str) -> str:
    """The path of an address that a header carries."""
    return urlsplit(str(mail[header]).strip("<>")).path


def bell(page: Page, words: str) -> None:
    expect(page.get_by_role("banner").get_by_role("link", name=words, exact=True)).to_be_visible()


@both_ways
def test_a_person_reads_a_notice_and_finds_its_tokens(
    visit: Visits, mails: dict[str, EmailMessage], scripts: bool
) -> None:
    person = ADMINISTRATOR if scripts else ENGINEER
    page = visit(person, java_script_enabled=scripts).page
    page.get_by_role("banner").get_by_role("link", name="1 unread notification").click()
    expect(page.get_by_role("heading", name="Notifications", level=1)).to_be_visible()
    notice = page.get_by_role("listitem").filter(has_text="Staging smoke tests")
    expect(notice).to_contain_text("Unread")

    notice.get_by_role("link", name=re.compile("^Show th")).click()
    if person == ENGINEER:  # is told of one token, and led to its page
        expect(page.get_by_role("heading", name="Staging smoke tests", level=1)).to_be_visible()
        bell(page, "No unread notifications")
    else:
        expect(row_of(page, "Staging smoke tests")).to_be_visible()
        expect(row_of(page, "Grafana data source")).to_have_count(0)
        expect(page.get_by_text("from a notification")).to_be_visible()
        bell(page, "No unread notifications")
        page.get_by_role("paragraph").get_by_role("link", name="Reset").click()
        expect(row_of(page, "Grafana data source")).to_be_visible()
    page.goto(page.url.split("/accounts/")[0] + INBOX)
    expect(page.get_by_text("Unread", exact=True)).to_have_count(0)


def test_notices_are_marked_as_read_with_one_button(
    visit: Visits, mails: dict[str, EmailMessage]
) -> None:
    window = visit(PURGER, java_script_enabled=False)
    window.go(INBOX)
    bell(window.page, "1 unread notification")
    window.page.get_by_role("button", name="Mark all as read").click()
    expect(window.page.get_by_text("1 notification was marked as read.")).to_be_visible()
    bell(window.page, "No unread notifications")
    expect(window.page.get_by_role("button", name=re.compile("^Mark"))).to_have_count(0)


@both_ways
def test_a_person_chooses_what_to_be_told(visit: Visits, scripts: bool) -> None:
    page = visit(USER, java_script_enabled=scripts).page
    page.get_by_role("navigation").get_by_role("link", name="Notifications").click()
    expect(page.get_by_role("heading", name="Notifications", level=1)).to_be_visible()
    expiring = page.get_by_role("group", name="API token is expiring")
    security = page.get_by_role("group", name="Your API token changed by someone else")
    told_nothing = page.get_by_text("Notifications for this account are off.")
    expect(told_nothing).not_to_be_visible()

    expiring.get_by_label("Email").uncheck()
    page.get_by_label("Allow notifications").uncheck()
    expect(told_nothing).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your notification settings were saved.")).to_be_visible()
    expect(page.get_by_label("Allow notifications")).not_to_be_checked()
    expect(expiring.get_by_label("Email")).not_to_be_checked()
    expect(expiring.get_by_label("Portal")).to_be_checked()
    expect(security.get_by_label("Email")).to_be_checked()

    page.get_by_label("Allow notifications").check()
    expiring.get_by_label("Email").check()
    page.get_by_role("button", name="Save").click()
    expect(told_nothing).not_to_be_visible()


@both_ways
def test_the_link_of_a_mail_stops_such_mails_without_a_sign_in(
    visit: Visits, mails: dict[str, EmailMessage], scripts: bool
) -> None:
    person = ADMINISTRATOR if scripts else ENGINEER
    window = visit(java_script_enabled=scripts)
    page = window.page
    window.go(link_of(mails[person], "List-Unsubscribe"))
    expect(page.get_by_text(person)).to_be_visible()
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("heading", name="Unsubscribed")).to_be_visible()

    page.get_by_role("link", name="Notification settings").click()
    sign_in_here(window, person)
    expect(page.get_by_role("heading", name="Notifications", level=1)).to_be_visible()
    expiring = page.get_by_role("group", name="API token is expiring")
    expect(expiring.get_by_label("Email")).not_to_be_checked()
    expect(expiring.get_by_label("Portal")).to_be_checked()


def sign_in_here(window: Visit, email: str) -> None:
    """Sign in on the page that asks for it, and go on to where it leads."""
    sign_in_by_password(window.page, email, PASSWORD)


def test_the_link_of_a_mail_leads_to_its_tokens(
    visit: Visits, mails: dict[str, EmailMessage]
) -> None:
    body = mails[PURGER].get_body(("plain",))
    assert body is not None
    link = re.search(r"http://\S+/api-tokens/\d+/", body.get_content())
    assert link is not None
    window = visit()
    window.page.goto(link[0])
    sign_in_here(window, PURGER)
    heading = window.page.get_by_role("heading", name="Prefetch of campaign pages", level=1)
    expect(heading).to_be_visible()


def test_axe_finds_nothing_on_the_pages_of_notices(
    visit: Visits, looks: Looks, mails: dict[str, EmailMessage]
) -> None:
    window = visit()
    page = window.page
    window.go(link_of(mails[PURGER], "List-Unsubscribe"))
    expect(page.get_by_role("button", name="Unsubscribe")).to_be_visible()
    looks.at(page, "unsubscribe")
    window.go("/notifications/unsubscribe/wrong/")
    expect(page.get_by_role("heading", name="This link doesn't work")).to_be_visible()
    looks.at(page, "bad link")

    window.sign_in(PURGER)
    window.go(INBOX)
    looks.at(page, "full inbox")
    page.get_by_role("link", name=re.compile("^Show th")).first.click()
    looks.at(page, "tokens of a notice")
    window.go(SETTINGS)
    looks.at(page, "settings")
    page.get_by_label("Allow notifications").uncheck()
    looks.at(page, "settings, nothing allowed")
    assert looks.found == {}


def test_axe_finds_nothing_in_an_empty_inbox(visit: Visits, looks: Looks) -> None:
    window = visit(USER)
    window.go(INBOX)
    expect(window.page.get_by_role("heading", name="You're all caught up")).to_be_visible()
    looks.at(window.page, "empty inbox")
    assert looks.found == {}


def test_no_page_of_notices_scrolls_sideways(visit: Visits, mails: dict[str, EmailMessage]) -> None:
    window = visit(PURGER)
    for path in (INBOX, SETTINGS, link_of(mails[PURGER], "List-Unsubscribe")):
        window.go(path)
        assert too_wide(window.page) == {}, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 700])
def test_the_mail_is_legible_and_asks_no_server(
    visit: Visits,
    violations: Violations,
    mails: dict[str, EmailMessage],
    scheme: str,
    width: int,
) -> None:
    html = mails[ENGINEER].get_body(("html",))
    assert html is not None
    window = visit(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = window.page
    page.set_content(html.get_content())
    expect(page.get_by_role("heading", level=1)).to_contain_text("API token")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert window.requests == []
    # Mail has no landmarks; colours, names and structure count.
    serious = [each for each in violations(page) if not each.startswith(("region", "landmark"))]
    assert serious == []
