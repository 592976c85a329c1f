"""My profile, and working in another of my accounts."""

import re
from datetime import datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from accounts.models import AuditEvent, Membership, User
from tests.conftest import Issue, SignIn
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

URL = "/profile/"
SWITCH = "/accounts/switch/"
LIST = "/profile/api-tokens/"
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


def test_name_may_be_empty(browser: Client, user: Membership) -> None:
    browser.post(URL, {**FORM, "name": ""})
    assert facts(user)[0] == ""


def test_pages_show_the_time_of_the_person(browser: Client, user: Membership, issue: Issue) -> None:
    issue(user, at=datetime.fromisoformat("2026-07-01T22:30:00Z"))
    browser.post(URL, {**FORM, "time_zone": "Asia/Tokyo"})
    page = browser.get(LIST).content.decode()
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
    assert "attention" in text(answer)
    assert facts(user) == before
    assert not AuditEvent.objects.filter(kind="profile.changed").exists()


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
    assert "attention" in text(answer)
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


# --- Working in another account ----------------------------------------------------------------


def account_in(browser: Client) -> int:
    """The account whose tokens the list shows."""
    member: Membership = browser.get(LIST).context["member"]
    return member.account_id


def test_person_works_in_another_of_their_accounts(browser: Client, user: Membership) -> None:
    second = MembershipFactory.create(user=user.user, account__name="Second Ltd.")
    answer = browser.post(SWITCH, {"account": second.account_id}, follow=True)
    assert "You work in Second Ltd. now" in text(answer)
    assert account_in(browser) == second.account_id


def test_list_shows_the_tokens_of_the_account_one_works_in(
    browser: Client, user: Membership, issue: Issue
) -> None:
    second = MembershipFactory.create(user=user.user)
    issue(user, name="First account's")
    issue(second, name="Second account's")
    browser.post(SWITCH, {"account": second.account_id})
    said = text(browser.get(LIST))
    assert "Second account's" in said
    assert "First account's" not in said


def test_token_of_the_account_one_left_is_not_found(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token = issue(user).token
    second = MembershipFactory.create(user=user.user)
    browser.post(SWITCH, {"account": second.account_id})
    assert browser.get(f"{LIST}{token.pk}/delete/").status_code == 404


@pytest.mark.parametrize("named", ["x", "", "0", "-1", "99999999999999999999", "\0", "9" * 5000])
def test_account_that_does_not_exist_is_refused(
    browser: Client, user: Membership, named: str
) -> None:
    answer = browser.post(SWITCH, {"account": named}, follow=True)
    assert "You do not belong to that account." in text(answer)
    assert account_in(browser) == user.account_id


def test_account_of_others_is_refused_like_one_that_does_not_exist(
    browser: Client, user: Membership, stranger: Membership
) -> None:
    answers = {
        text(browser.post(SWITCH, {"account": account}, follow=True))
        for account in (stranger.account_id, 987_654)
    }
    assert len(answers) == 1
    assert account_in(browser) == user.account_id


def test_account_that_removed_the_person_is_refused(
    browser: Client, user: Membership, now: datetime
) -> None:
    former = MembershipFactory.create(user=user.user, removed_at=now)
    browser.post(SWITCH, {"account": former.account_id})
    assert account_in(browser) == user.account_id


def test_person_who_is_removed_meanwhile_falls_back_to_their_first_account(
    browser: Client, user: Membership, now: datetime
) -> None:
    second = MembershipFactory.create(user=user.user)
    browser.post(SWITCH, {"account": second.account_id})
    Membership.objects.filter(pk=second.pk).update(removed_at=now)
    assert account_in(browser) == user.account_id


def test_switch_without_an_account_is_refused(browser: Client, user: Membership) -> None:
    assert "You do not belong" in text(browser.post(SWITCH, {}, follow=True))


def test_link_alone_switches_nothing(browser: Client, user: Membership) -> None:
    second = MembershipFactory.create(user=user.user)
    assert browser.get(SWITCH, {"account": second.account_id}).status_code == 405
    assert account_in(browser) == user.account_id


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https:evil.example", "\\\\evil.example", "\0"]
)
def test_switch_leads_to_no_other_site(browser: Client, user: Membership, elsewhere: str) -> None:
    answer = browser.post(SWITCH, {"account": user.account_id, "next": elsewhere})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_switch_of_another_site_is_refused(user: Membership, sign_in: SignIn) -> None:
    browser = Client(enforce_csrf_checks=True)
    sign_in(browser, user)
    assert browser.post(SWITCH, {"account": user.account_id}).status_code == 403
