"""Every page and every mail is valid HTML, and mails fit a small phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests import npm
from tests.browser.conftest import ADMINISTRATOR, FLAGS, USER
from tests.browser.test_everybody import PAGES
from tests.browser.test_operators import OPERATOR, PASSWORD
from tests.browser.test_operators import PAGES as OPERATORS_PAGES
from tests.conftest import give_up
from tests.markup import nu
from tests.portal import Portal
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.long]

STRANGERS = ["/sign-in/", "/sign-up/", "/password/forgotten/", "/iam/docs", "/no-such-page/"]
MORE = {
    "token": "/accounts/1/api-tokens/{token}/",
    "delete": "/accounts/1/api-tokens/{token}/delete/",
    "edit": "/accounts/1/api-tokens/{active}/edit/",
    "rotate": "/accounts/1/api-tokens/{active}/rotate/",
    "hand over": "/accounts/1/api-tokens/selection/hand-over/?ids={active}",
    "delete several": "/accounts/1/api-tokens/selection/delete/?ids={active}",
    "delete all": "/accounts/1/api-tokens/of/2/delete/",
    "look up": "/accounts/1/api-tokens/look-up/",
    "usage": "/accounts/1/api-tokens/usage/",
    "access": "/accounts/1/api-tokens/access/",
    "services": "/accounts/1/api-tokens/services/",
    "new service": "/accounts/1/api-tokens/services/new/",
    "service accounts": "/accounts/1/users/service-accounts/",
    "new service account": "/accounts/1/users/service-accounts/new/",
    "invite": "/accounts/1/users/invite/",
    "new account": "/accounts/new/",
    "email": "/profile/email/",
    "inbox": "/accounts/1/notifications/",
    "settings": "/accounts/1/notifications/settings/",
    "security": "/profile/security/",
    "app": "/profile/security/app/",
    "single sign-on": "/accounts/1/single-sign-on/",
    "metadata": "/accounts/1/single-sign-on/provider/",
    "role": "/accounts/1/users/2/role/",
    "remove": "/accounts/1/users/2/remove/",
    "leave": "/accounts/1/leave/",
}
TOKENS = """
from django.utils import timezone
from apitokens.models import APIToken
tokens = APIToken.objects
print(tokens.earliest("pk").pk, tokens.active(timezone.now()).earliest("pk").pk)
"""


@pytest.fixture(autouse=True)
def checker() -> None:
    try:
        nu.install()
    except npm.Unavailable as reason:
        give_up(str(reason))


@pytest.fixture(scope="module")
def mails(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("mails")
    portal.shell.run(f"from tests.markup import mails; mails.write({str(folder)!r})")
    return sorted(folder.iterdir())


def _pages(portal: Portal) -> Iterator[tuple[str, str]]:
    """Pages of strangers, of two members, and of an operator, by a name of their own."""
    stranger = Visitor(portal.url)
    for path in STRANGERS:
        yield f"stranger {path}", stranger.page(path)
    token, active = portal.shell.run(TOKENS).split()
    for email in (ADMINISTRATOR, USER):
        member = Visitor(portal.url)
        member.sign_in(email)
        for name, path in {**PAGES, **MORE}.items():
            yield f"{email} {name}", member.page(path.format(token=token, active=active))
    portal.shell.command("create_operator", OPERATOR, "--password-stdin", typed=PASSWORD)
    operator = Visitor(portal.url)
    operator.sign_in(OPERATOR, PASSWORD)
    for path in OPERATORS_PAGES:
        yield f"operator {path}", operator.page(path)


def test_every_page_is_valid_html(portal: Portal, tmp_path: Path) -> None:
    files = []
    for name, text in _pages(portal):
        files.append(tmp_path / f"{name.replace('/', '_')}.html")
        files[-1].write_text(text)
    assert nu.errors(files) == {}


def test_every_mail_is_valid_html(mails: list[Path]) -> None:
    assert nu.errors(mails) == {}


def test_no_mail_is_wider_than_a_small_phone(mails: list[Path], chromium: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 360, "height": 800})
        widths = {}
        for mail in mails:
            page.set_content(mail.read_text())
            widths[mail.name] = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert {name: width for name, width in widths.items() if width > 360} == {}
