"""My profile."""

import re
from datetime import datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import translation
from django.utils.html import strip_tags
from django.utils.translation import gettext

from accounts.models import AuditEvent, Membership, User
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db

URL = "/profile/"
LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
FORM = {
    "name": "Maria Okafor",
    "phone": "+49 (30) 1234-56",
    "time_zone": "Europe/Berlin",
    "language": "en",
}


@pytest.fixture
def browser(client: Client, user: Membership, sign_in: SignIn) -> Client:
    sign_in(client, user)
    return client


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def facts(member: Membership) -> tuple[str, str, str, str]:
    user = User.objects.get(pk=member.user_id)
    return user.name, user.time_zone, user.language, user.phone


# --- My profile --------------------------------------------------------------------------------


def test_stranger_is_asked_to_sign_in(client: Client) -> None:
    assert client.get(URL).status_code == 302


def test_person_changes_their_profile(browser: Client, user: Membership) -> None:
    answer = browser.post(URL, FORM, follow=True)
    assert "Your profile was saved." in text(answer)
    assert facts(user) == ("Maria Okafor", "Europe/Berlin", "en", "+49 (30) 1234-56")
    event = AuditEvent.objects.get(kind="profile.changed")
    assert (event.user, event.subject_id) == (user.user, user.user_id)


def test_change_of_language_is_told_in_the_new_one(browser: Client) -> None:
    page = text(browser.post(URL, {**FORM, "language": "ru"}, follow=True))
    with translation.override("ru"):
        assert gettext("Your profile was saved.") in page
    assert "Your profile was saved." not in page


def test_name_may_be_empty(browser: Client, user: Membership) -> None:
    browser.post(URL, {**FORM, "name": ""})
    assert facts(user)[0] == ""


def test_pages_show_the_time_of_the_person(browser: Client, user: Membership, issue: Issue) -> None:
    token = issue(user, at=datetime.fromisoformat("2026-07-01T22:30:00Z")).token
    browser.post(URL, {**FORM, "time_zone": "Asia/Tokyo"})
    page = browser.get(f"{LIST}{token.pk}/").content.decode()
    assert "07:30" in page
    assert "2026-07-01 22:30:00 UTC" in page


@pytest.mark.parametrize(
    "change",
    [
        {"name": "n" * 151},
        {"name": "n" * 100_000},
        {"name": "a\0b"},
        {"name": "a\nb"},
        {"name": "a\x07b"},
        {"name": "a\u202eb"},
        {"phone": "0" * 33},
        {"phone": "call me"},
        {"phone": "+49\n30"},
        {"phone": "\u0664\u0662"},
        {"phone": "0\0"},
        {"time_zone": ""},
        {"time_zone": "Mars/Base"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "/etc/localtime"},
        {"time_zone": "\0"},
        {"time_zone": "z" * 100_000},
        {"language": ""},
        {"language": "xx"},
        {"language": "\0"},
        {"language": "en\n"},
        {"language": "e" * 100_000},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_bad_field_is_told_and_nothing_changes(
    browser: Client, user: Membership, change: dict[str, str]
) -> None:
    before = facts(user)
    answer = browser.post(URL, {**FORM, **change})
    assert answer.status_code == 400
    assert "to continue" in text(answer)
    assert facts(user) == before
    assert not AuditEvent.objects.filter(kind="profile.changed").exists()


def test_time_zones_are_in_groups_with_offsets_and_no_zone_twice(browser: Client) -> None:
    page = browser.get(URL).content.decode()
    assert '<optgroup label="Asia">' in page
    assert re.search(r'<option value="Asia/Kolkata">Kolkata \(UTC\+05:30\)</option>', page)
    assert re.search(r'value="America/Caracas">Caracas \(UTC−04:00\)<', page)
    for former in ("Asia/Calcutta", "Europe/Kiev", "US/Pacific", "Etc/GMT"):
        assert former not in page


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("US/Pacific", "America/Los_Angeles"),
    ],
)
def test_former_name_of_a_zone_is_understood(
    browser: Client, user: Membership, former: str, present: str
) -> None:
    browser.post(URL, {**FORM, "time_zone": former})
    assert facts(user)[1] == present


def test_zone_that_is_in_no_list_stays_with_who_has_it(browser: Client, user: Membership) -> None:
    User.objects.filter(pk=user.user_id).update(time_zone="Etc/GMT+5")
    page = browser.get(URL).content.decode()
    assert '<option value="Etc/GMT+5" selected>' in page
    browser.post(URL, {**FORM, "time_zone": "Etc/GMT+5"})
    assert facts(user)[1] == "Etc/GMT+5"


@pytest.mark.parametrize("missing", ["time_zone", "language"])
def test_missing_field_is_told_and_nothing_changes(
    browser: Client, user: Membership, missing: str
) -> None:
    before = facts(user)
    form = {field: value for field, value in FORM.items() if field != missing}
    assert browser.post(URL, form).status_code == 400
    assert facts(user) == before


def test_form_with_nothing_in_it_changes_nothing(browser: Client, user: Membership) -> None:
    before = facts(user)
    answer = browser.post(URL, {})
    assert answer.status_code == 400
    assert "to continue" in text(answer)
    assert facts(user) == before


def test_markup_is_shown_as_text(browser: Client) -> None:
    bad = "<script>alert('x')</script>"
    browser.post(URL, {**FORM, "name": bad})
    page = browser.get(URL).content.decode()
    assert "<script>alert" not in page
    assert bad in unescape(page)


def test_nobody_makes_themselves_an_operator_or_another_user(
    browser: Client, user: Membership
) -> None:
    extra = {"is_staff": "on", "is_superuser": "on", "email": "x@example.com", "id": "1"}
    browser.post(URL, {**FORM, **extra})
    person = User.objects.get(pk=user.user_id)
    assert (person.is_staff, person.is_superuser, person.email) == (False, False, user.user.email)


@pytest.mark.parametrize("size", [300_000, 2_000_000])
def test_huge_form_is_refused(browser: Client, user: Membership, size: int) -> None:
    before = facts(user)
    assert browser.post(URL, {**FORM, "name": "n" * size}).status_code == 413
    assert facts(user) == before
