"""What pages weigh on the wire, headers and all, in a browser that keeps what it may."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADMINISTRATOR, PASSWORD, Visits
from tests.browser.test_everybody import PAGES
from tests.browser.test_guide import open_form

pytestmark = pytest.mark.browser

LIST = "/accounts/1/api-tokens/?status=all&page_size=25"
ROWS = 25
FIRST_VISIT, NEXT_VISIT, ANY_PAGE = 25_000, 12_000, 60_000
LONG_LOG = "/accounts/1/audit-log/?page_size=100"
MORE_TOKENS = """
from django.utils import timezone
from accounts.models import Membership
from tests.factories import issue
member = Membership.objects.get(account_id=1, user__email="admin@example.com")
for number in range(12):
    name = f"Deployment of the shop, part {number}"
    issue(member, name=name, description="Runs at night", at=timezone.now())
"""


class Scales:
    """Weighs what a page has sent to this browser; what it had already, by what it weighed then."""

    def __init__(self, page: Page) -> None:
        self.addresses: dict[str, str] = {}
        self.sent: dict[str, int] = {}
        self.weights: dict[str, int] = {}
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.requestWillBeSent", self._asked)
        network.on("Network.loadingFinished", self._arrived)

    def weigh(self, act: Callable[[], Any], page: Page) -> tuple[int, int]:
        """Bytes that came, and bytes that would come to a browser that has nothing yet."""
        self.addresses, self.sent = {}, {}
        act()
        page.wait_for_load_state("networkidle")
        return sum(self.sent.values()), sum(self.weights[url] for url in self.addresses.values())

    def _asked(self, event: Any) -> None:
        if not event["request"]["url"].startswith("data:"):
            self.addresses[event["requestId"]] = event["request"]["url"]

    def _arrived(self, event: Any) -> None:
        url, size = self.addresses.get(event["requestId"]), event["encodedDataLength"]
        if url is not None:
            self.sent[url] = size
            self.weights[url] = max(size, self.weights.get(url, 0))


def test_pages_are_light(visit: Visits, record_property: Callable[[str, object], None]) -> None:
    window = visit()
    page, scales = window.page, Scales(window.page)
    window.portal.shell.run(MORE_TOKENS)
    window.enter(ADMINISTRATOR, PASSWORD)

    first, _whole = scales.weigh(lambda: window.go(LIST), page)
    assert page.locator("tbody tr").count() == ROWS
    following, _whole = scales.weigh(lambda: window.go(LIST), page)
    record_property(f"bytes of the list with {ROWS} rows, first visit", first)
    record_property(f"bytes of the list with {ROWS} rows, next visit", following)

    weights = {}
    for name, path in {**PAGES, "long audit log": LONG_LOG}.items():
        _came, weights[name] = scales.weigh(lambda path=path: window.go(path), page)  # type: ignore[misc]  # a lambda with a default
    open_form(page)
    page.get_by_label("Token name").fill("Light")
    press = page.get_by_role("button", name="Create", exact=True).click
    _came, weights["one-time dialog"] = scales.weigh(press, page)
    expect(page.get_by_role("dialog", name="New API token created")).to_be_visible()
    heaviest = max(weights, key=lambda name: weights[name])
    record_property(f"bytes of the heaviest page, first visit: {heaviest}", weights[heaviest])

    assert first <= FIRST_VISIT
    assert following <= NEXT_VISIT
    assert {name: size for name, size in weights.items() if size > ANY_PAGE} == {}
