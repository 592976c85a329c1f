"""Signing up, in, and in again in a real browser: mails, an authenticator app, passkeys, axe."""

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADMINISTRATOR, PASSWORD, Visit, Visits, sign_in_by_password
from tests.portal import Portal

pytestmark = pytest.mark.browser

SECURITY = "/profile/security/"
OWN_PASSWORD = "an own long password"
FIVE_MINUTES_PASS = """
from allauth.usersessions.models import UserSession
from accounts.http.session_backend import SessionStore
for key in UserSession.objects.values_list("session_key", flat=True):
    session = SessionStore(key)
    for method in session.get("account_authentication_methods", []):
        method["at"] -= 301
    session.save()
"""


def mails(portal: Portal) -> str:
    """All mails that the portal has sent, after sending those that wait."""
    portal.shell.run("from notifications.email.delivery import deliver; deliver()")
    files = (portal.data_dir / "mail").iterdir()
    return "".join(
        path.read_text() for path in sorted(files, key=lambda path: path.stat().st_mtime)
    )


def newest_link(portal: Portal, email: str) -> str:
    """Where the newest mail to this address leads."""
    _before, _to, mail = mails(portal).rpartition(f"To: {email}")
    found = re.search(rf"^{re.escape(portal.url)}/\S+$", mail, re.MULTILINE)
    assert found is not None, mail
    return found[0]


def sign_up(window: Visit, email: str) -> None:
    """Sign up and confirm the address; the window is signed in then."""
    page = window.page
    window.go("/sign-up/")
    page.get_by_label("Company name").fill("Globex")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(OWN_PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
    page.goto(newest_link(window.portal, email))
    page.get_by_role("button", name="Yes, confirm").click()
    expect(page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()


def prove(page: Page, password: str = OWN_PASSWORD) -> None:
    expect(page.get_by_role("heading", name="Confirm it's you")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Continue").click()


def sign_out(window: Visit) -> None:
    window.go("/sign-out/")
    window.page.get_by_role("button", name="Sign out").click()


def give_device(page: Page) -> None:
    """Let the browser have a device with a fingerprint reader, which recognises the person."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_person_signs_up_and_in_with_an_app_and_with_its_recovery_codes(visit: Visits) -> None:
    window = visit()
    page = window.page
    sign_up(window, "app@globex.example")

    window.go(SECURITY)
    page.get_by_role("link", name="Add an app").click()
    prove(page)
    secret = page.locator("#totp-key").inner_text().strip()
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    page.get_by_label("Code from the app").fill(code)
    page.get_by_role("button", name="Add the app").click()
    codes = page.locator("#recovery-codes").inner_text().split()
    assert len(codes) == 10
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "permatoken-recovery-codes.txt"
    title, _empty, *lines = saved.value.path().read_text().splitlines()
    assert title.endswith("app@globex.example")
    assert lines == codes
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    page.get_by_role("link", name="OK, I've saved them").click()
    expect(page.get_by_text("10 unused codes left")).to_be_visible()

    sign_out(window)
    sign_in_by_password(page, "app@globex.example", OWN_PASSWORD)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("already been used")
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()
    assert window.troubles == []


def test_person_signs_in_with_a_passkey_alone(visit: Visits) -> None:
    window = visit()
    page = window.page
    sign_up(window, "passkey@globex.example")
    give_device(page)

    window.go(SECURITY)
    page.get_by_role("link", name="Add a passkey").click()
    prove(page)
    page.get_by_label("Name").fill("My notebook")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("link", name="OK, I've saved them").click()
    expect(page.get_by_text("My notebook").first).to_be_visible()

    sign_out(window)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()

    sign_out(window)
    sign_in_by_password(page, "passkey@globex.example", OWN_PASSWORD)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()

    window.go(f"{SECURITY}app/")
    expect(page.get_by_role("heading", name="Add an authenticator app")).to_be_visible()
    window.portal.shell.run(FIVE_MINUTES_PASS)
    window.go(f"{SECURITY}app/")
    page.get_by_role("link", name="Use a passkey").click()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Add an authenticator app")).to_be_visible()
    assert window.troubles == []


def test_browser_that_refuses_says_so(visit: Visits) -> None:
    window = visit()
    window.go("/sign-in/")
    window.page.evaluate(
        "() => { navigator.credentials.get = () => Promise.reject(new Error('refused')); }"
    )
    window.page.get_by_role("button", name="Sign in with a passkey").click()
    expect(window.page.get_by_text("No passkey was used")).to_be_visible()


def test_everything_but_passkeys_works_without_scripts(visit: Visits) -> None:
    window = visit(java_script_enabled=False)
    window.sign_in(ADMINISTRATOR)
    window.go("/sign-in/")
    window.go(f"/sign-in/again/?next={SECURITY}passkeys/add/")
    prove(window.page, PASSWORD)
    expect(window.page.get_by_text("they need JavaScript")).to_be_visible()
    expect(window.page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    window.go(f"{SECURITY}app/")
    expect(window.page.get_by_label("Code from the app")).to_be_visible()
