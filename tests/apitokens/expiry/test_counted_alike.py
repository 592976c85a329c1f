"""The badge, the marks of rows, the inbox and mails count the same tokens, and round alike."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import time_machine
from django.test import Client
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import suspension
from accounts.models import Membership, User
from apitokens.expiry import scan as expiry
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from notifications.email import rendering
from notifications.models import Mail, Notice
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID, issue

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
SOON = {
    "a second": (SECOND, "1 minute"),
    "nearly an hour": (timedelta(minutes=59, seconds=59), "59 minutes"),
    "nearly a day": (DAY - SECOND, "23 hours"),
    "a day": (DAY, "1 day"),
    "nearly two": (2 * DAY - SECOND, "1 day"),
    "nearly a week": (7 * DAY - SECOND, "6 days"),
    "a week": (7 * DAY, "7 days"),
}
"""How long tokens have, and how the product says it."""
ODD = {
    "a moment": timedelta(microseconds=1),
    "a second": SECOND,
    "nearly an hour": timedelta(minutes=59, seconds=59),
    "an hour": timedelta(hours=1),
    "nearly a day": DAY - timedelta(microseconds=1),
    "a day": DAY,
    "a moment more than a day": DAY + timedelta(microseconds=1),
    "two days and a half": timedelta(days=2, hours=12, seconds=1),
    "a week": 7 * DAY,
}
"""How much later somebody looks, when the same tokens have less time."""
LATER = {"a second more than a week": 7 * DAY + SECOND, "a month": 30 * DAY, "never": None}
Words = dict[str, str]


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(autouse=True)
def tokens(user: Membership, engineer: Membership, administrator: Membership) -> None:
    """Of the user one of each, and some that are over; of the engineer, who is suspended, and of
    one who was deactivated, one each."""
    for name, (left, _words) in SOON.items():
        _issue(user, name, left)
    for name, later in LATER.items():
        _issue(user, name, later)
    gone = _issue(user, "deleted", DAY)
    token_services.delete(token=gone, by=Actor.member(user), at=NOW - DAY)
    APIToken.objects.filter(pk=_issue(user, "over", DAY).pk).update(expires_at=NOW)
    _issue(engineer, "suspended", 3 * DAY)
    engineer.sso_at = NOW - 40 * DAY
    engineer.save()
    by = Actor.operator(through=EntryPoint.SYSTEM)
    assert suspension.suspend_tokens(membership=engineer, by=by, at=NOW)
    expiry.scan(at=NOW)


def _issue(member: Membership, name: str, left: timedelta | None) -> APIToken:
    end = None if left is None else NOW + left
    return issue(member, name=name, at=NOW - 60 * DAY, expires_at=end).token


def _words(page: bytes) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(page.decode()).replace("&nbsp;", " ")))


def in_words(left: timedelta) -> str:
    """As the product says it, reckoned anew."""
    minutes = left // timedelta(minutes=1)
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if minutes >= size:
            return f"{minutes // size} {unit}{'s' if minutes >= 2 * size else ''}"
    return "1 minute"


def marked_rows(browser: Client, query: str) -> Words:
    page = browser.get(LIST + query).content.decode()
    rows = re.findall(r"<tr\b.*?</tr>", page.partition("<tbody")[2], re.DOTALL)
    found = {}
    for row in rows:
        name = re.search(r'class="tokens__name"[^>]*>(.*?)</a>', row, re.DOTALL)
        left = re.search(r"Expires in (\d+ \w+)", _words(row.encode()))
        assert name is not None
        if left is not None:
            found[_words(name[1].encode()).strip()] = left[1]
    return found


def badge(browser: Client) -> int:
    """The number on the section, which stands on every page."""
    return _number(_words(browser.get(LIST).content))


def line_of_inbox(browser: Client) -> int:
    """The number in the line above the notices."""
    page = browser.get(f"/accounts/{ACCOUNT_ID}/notifications/").content
    _before, found, line = page.partition(b'class="notices__now')
    return _number(_words(line.partition(b"</p>")[0])) if found else 0


def _number(words: str) -> int:
    found = re.search(r"(\d+) tokens? expires? in 7 days or less", words)
    return int(found[1]) if found else 0


def mailed(reader: User, at: datetime = NOW) -> Words:
    """What the mail that was decided at first says if it is sent now. Its subject has the number of
    tokens, and how long the first of them has."""
    mail = Mail.objects.get(user=reader)
    rendered = rendering.render_mail(mail, at=at)
    if rendered is None:
        return {}
    text, subject = (each.replace("\xa0", " ") for each in (rendered.text, rendered.subject))
    said = dict(re.findall(r"^\* (.+)\n  Expires in (.+)$", text, re.MULTILINE))
    assert subject.startswith(f"{len(said)} API token")
    assert subject.endswith(f"in {next(iter(said.values()))}")
    return said


def noticed(reader: User) -> list[str]:
    notice = Notice.objects.get(user=reader)
    names = notice.text.splitlines()
    assert notice.title.startswith(f"{len(names)} API tokens")
    return names


@pytest.mark.parametrize("who", ["user", "administrator"])
def test_the_same_tokens_are_counted_and_rounded_everywhere(
    request: pytest.FixtureRequest, client: Client, sign_in: SignIn, who: str
) -> None:
    reader: Membership = request.getfixturevalue(who)
    wanted = {name: words for name, (_left, words) in SOON.items()}
    if who == "administrator":
        wanted["suspended"] = "3 days"
    sign_in(client, reader)

    assert marked_rows(client, "?status=all&page_size=100") == wanted
    assert marked_rows(client, "?status=expiring&page_size=100") == wanted
    assert marked_rows(client, "?status=all&expires=7&page_size=100") == wanted
    assert badge(client) == line_of_inbox(client) == len(wanted)
    assert mailed(reader.user) == wanted
    assert sorted(noticed(reader.user)) == sorted(wanted)


@pytest.mark.parametrize("who", ["user", "administrator"])
def test_the_same_tokens_are_counted_and_rounded_whenever_somebody_looks(
    request: pytest.FixtureRequest, client: Client, sign_in: SignIn, who: str
) -> None:
    reader: Membership = request.getfixturevalue(who)
    first = set(mailed(reader.user))
    visible = APIToken.objects.filter(expires_at__gt=NOW, deleted_at=None)
    if who == "user":
        visible = visible.filter(issuer=reader)
    ends = {token.name: token.expires_at for token in visible if token.expires_at}
    for later in ODD.values():
        at = NOW + later
        left = {name: end - at for name, end in ends.items() if at < end}
        wanted = {name: in_words(each) for name, each in left.items() if each <= 7 * DAY}
        with time_machine.travel(at, tick=False):
            sign_in(client, reader)
            assert marked_rows(client, "?status=all&page_size=100") == wanted
            assert marked_rows(client, "?status=expiring") == wanted
            assert badge(client) == line_of_inbox(client) == len(wanted)
            mail = {name: words for name, words in wanted.items() if name in first}
            assert mailed(reader.user, at) == mail


def test_page_of_a_token_rounds_as_its_row_does(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    sign_in(client, user)
    for name, (_left, words) in SOON.items():
        token = APIToken.objects.get(name=name)
        said = _words(client.get(f"{LIST}{token.pk}/").content)
        assert set(re.findall(r"Expires in (\d+ \w+)", said)) == {words}
