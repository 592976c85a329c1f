"""Every page in every state: light, accessible, as wide as its window, at odds with no policy, and
asking no other server."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.axe import Looks, too_wide
from tests.browser.conftest import PASSWORD, Visits
from tests.browser.every_page import EveryPage
from tests.browser.scales import Scales
from tests.every_page.places import ADMINISTRATOR, EMAILS, OPERATOR, PEOPLE
from tests.portal import Portal

pytestmark = pytest.mark.browser

LIST = "/accounts/1/api-tokens/?status=all&page_size=25"
ROWS = 25
FIRST_VISIT, NEXT_VISIT, ANY_PAGE = 25_000, 12_000, 60_000
MOST_REQUESTS, MOST_OF_DJANGOS = 12, 20
"""Of ours; of operators' pages, which have the style sheets and scripts of the Django admin."""
REFUSAL = "the server responded with a status of 4"
"""The browser says so of a page that is refused; no page of ours does."""
MORE_TOKENS = """
from django.utils import timezone
from accounts.models import Membership
from tests.factories import issue
member = Membership.objects.get(account_id=1, user__email="admin@example.com")
for number in range(12):
    name = f"Deployment of the shop, part {number}"
    issue(member, name=name, description="Runs at night", at=timezone.now())
"""

WALKS = [
    *((ADMINISTRATOR, part, 4) for part in range(4)),
    *((OPERATOR, part, 2) for part in range(2)),
    *((who, 0, 1) for who in PEOPLE if who not in (ADMINISTRATOR, OPERATOR)),
]
"""Who walks, and which part of their pages: workers share the long walks."""


@pytest.fixture(scope="module")
def every_page(portal: Portal) -> EveryPage:
    return EveryPage(portal)


def test_list_with_25_rows_is_light(
    visit: Visits, record_property: Callable[[str, object], None]
) -> None:
    window = visit()
    scales = Scales(window.page)
    window.portal.shell.run(MORE_TOKENS)
    window.enter(EMAILS[ADMINISTRATOR], PASSWORD)
    seen = []
    for which in ("first", "next"):
        window.go(LIST)
        expect(window.page.locator("tbody tr")).to_have_count(ROWS)
        seen.append(scales.sent_now())
        record_property(f"bytes of the list with {ROWS} rows, {which} visit", seen[-1])

    assert seen[0] <= FIRST_VISIT
    assert seen[1] <= NEXT_VISIT


@pytest.mark.parametrize(("who", "part", "parts"), WALKS)
def test_every_page_is_light_accessible_and_as_wide_as_its_window(
    visit: Visits,
    every_page: EveryPage,
    looks: Looks,
    who: str,
    part: int,
    parts: int,
    record_property: Callable[[str, object], None],
) -> None:
    window = visit()
    page, scales = window.page, Scales(window.page)
    weights, requests, wide, troubles = {}, {}, {}, {}
    for name in every_page.of(who, window, part=part, parts=parts):
        weights[name] = scales.whole()
        requests[name] = scales.requests()
        wide[name] = too_wide(page)
        troubles[name] = [each for each in window.troubles if REFUSAL not in each]
        looks.at(page, name)
        window.troubles.clear()  # axe has styles of its own
    heaviest = max(weights, key=lambda name: weights[name])
    whose = f"pages of {who}, part {part + 1} of {parts}" if parts > 1 else f"pages of {who}"
    record_property(f"heaviest of {len(weights)} {whose}: {heaviest}", weights[heaviest])
    record_property(f"most requests of {whose}", max(requests.values()))
    record_property(f"findings of axe on {len(weights)} {whose}", len(looks.found))

    assert {name: size for name, size in weights.items() if size > ANY_PAGE} == {}
    most = MOST_OF_DJANGOS if who == OPERATOR else MOST_REQUESTS
    assert {name: count for name, count in requests.items() if count > most} == {}
    assert {name: by for name, by in wide.items() if by} == {}
    assert {name: texts for name, texts in troubles.items() if texts} == {}
    assert [
        url for url in window.requests if not url.startswith((window.portal.url, "data:"))
    ] == []
    assert every_page.surprises == {}
    assert looks.found == {}
