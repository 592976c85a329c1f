"""How a person likes the list: its columns and its rows, and how long ago something was."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation

from accounts.models import Membership
from apitokens.models import APIToken, ListPreferences
from apitokens.pages.relative_times import time_ago
from apitokens.preferences.services import AT_FIRST, CHOICES, preferences_of
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
VIEW = f"{LIST}view/"
NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.fixture
def browser(client: Client, user: Membership, issue: Issue, sign_in: SignIn) -> Client:
    issue(user, name="CI", description="Builds")
    sign_in(client, user)
    return client


def columns(browser: Client, query: str = "") -> list[str]:
    return re.findall(r'data-column="(\w+)"', browser.get(LIST + query).content.decode())


@pytest.mark.django_db
def test_list_has_the_usual_columns_at_first(browser: Client) -> None:
    assert columns(browser) == ["pick", "name", *AT_FIRST, "actions"]


@pytest.mark.django_db
def test_chosen_columns_and_rows_are_kept_for_the_person(
    browser: Client, engineer: Membership
) -> None:
    answer = browser.post(VIEW, {"show": "created", "query": "sort=name"})
    assert answer["Location"] == f"{LIST}?sort=name"
    browser.post(VIEW, {"density": "compact"})
    for key in ("role", "role", "status"):
        browser.post(VIEW, {"hide": key})
    kept = ["issued_by", "expiration", "last_usage", "created"]
    assert columns(browser) == ["pick", "name", *kept, "actions"]
    assert "tokens--compact" in browser.get(LIST).content.decode()
    assert preferences_of(engineer.user_id).columns == AT_FIRST
    for key in (*CHOICES, "role"):
        browser.post(VIEW, {"show": key})
    assert columns(browser) == ["pick", "name", *CHOICES, "actions"]
    for key in CHOICES:
        browser.post(VIEW, {"hide": key})
    assert columns(browser) == ["pick", "name", "actions"]
    assert ListPreferences.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sent",
    [{"density": "huge"}, {"show": "digest"}, {"hide": "\0"}, {"show": "x" * 10_000}],
    ids=["no such rows", "no such column", "NUL", "huge"],
)
def test_view_that_is_not_offered_changes_nothing(browser: Client, sent: dict[str, str]) -> None:
    assert browser.post(VIEW, sent)["Location"] == LIST
    assert not ListPreferences.objects.exists()


@pytest.mark.django_db
def test_columns_of_another_release_do_no_harm(browser: Client, user: Membership) -> None:
    ListPreferences.objects.create(user=user.user, columns="colour,status", density="airy")
    assert columns(browser) == ["pick", "name", "status", "actions"]


@pytest.mark.django_db
def test_last_usage_is_told_as_how_long_ago_with_the_exact_instant(
    browser: Client, user: Membership, now: datetime
) -> None:
    user.user.time_zone = "Asia/Baku"
    user.user.save()
    used_at = now - timedelta(hours=2, minutes=5)
    APIToken.objects.update(last_used_at=used_at, last_used_address="203.0.113.7")
    page = browser.get(LIST).content.decode()
    shown = re.search(r'<time class="ago".*?</time>', page, re.S)
    assert shown is not None
    assert 'tabindex="0"' in shown[0]
    assert ">2 hours ago<" in shown[0]
    assert f"{used_at + timedelta(hours=4):%H:%M:%S} +04" in shown[0]
    assert f"{used_at:%Y-%m-%d %H:%M:%S} UTC" in shown[0]
    assert "203.0.113.7" in shown[0]


@pytest.mark.django_db
def test_exact_times_stay_shown_on_the_next_page(browser: Client) -> None:
    switch = re.compile(r'<input class="utc-switch"\s+type="checkbox"\s*(checked)?')
    off = switch.search(browser.get(LIST).content.decode())
    browser.cookies["utc"] = "1"
    on = switch.search(browser.get(LIST).content.decode())
    assert (off and off[1], on and on[1]) == (None, "checked")


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        ({"seconds": -90}, "just now"),
        ({"seconds": 59}, "just now"),
        ({"seconds": 119}, "1 minute ago"),
        ({"minutes": 119}, "1 hour ago"),
        ({"hours": 47}, "1 day ago"),
        ({"days": 29}, "29 days ago"),
        ({"days": 61}, "2 months ago"),
        ({"days": 364}, "12 months ago"),
        ({"days": 800}, "2 years ago"),
    ],
    ids=str,
)
def test_time_ago_is_rounded_down(passed: dict[str, int], words: str) -> None:
    assert time_ago(NOW - timedelta(**passed), at=NOW) == words


@pytest.mark.parametrize("language", [code for code, _name in settings.LANGUAGES if code != "en"])
def test_time_ago_is_told_in_every_language(language: str) -> None:
    spans = [{unit: n} for unit in ("days", "hours", "minutes") for n in (1, 2, 5)]
    with translation.override(language):
        for span in spans:
            words = time_ago(NOW - timedelta(**span), at=NOW)
            assert "ago" not in words
            assert str(*span.values()) in words
