"""The inbox and the bell: what a person is told, and that nobody else is."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership
from notifications import services
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS, TOKEN_EXPIRING, Kind
from notifications.models import Notice
from notifications.recipients import Person
from notifications.services import News
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

INBOX = f"/accounts/{ACCOUNT_ID}/notifications/"
TOKENS = f"/accounts/{ACCOUNT_ID}/api-tokens/"
Tell = Callable[..., Notice]


@pytest.fixture
def tell(now: datetime) -> Tell:
    """`tell(member, title)`: a notice in the inbox of the member."""

    def act(
        member: Membership,
        title: str = "2 API tokens expire",
        text: str = "Backup\nUptime probe",
        link: str = f"{TOKENS}?ids=1,2",
        kind: Kind = TOKEN_EXPIRING,
        at: datetime = now,
    ) -> Notice:
        news = News(Person(member.user_id, member.account_id), title, text, link, {})
        return services.tell(news=[news], kind=kind, at=at).notices[0]

    return act


@pytest.fixture
def browser(client: Client, user: Membership, sign_in: SignIn) -> Client:
    """The browser of `user`."""
    sign_in(client, user)
    return client


def body(browser: Client, path: str = INBOX) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


# --- Reading -----------------------------------------------------------------------------------


def test_a_notice_shows_title_lines_time_and_link(
    browser: Client, user: Membership, tell: Tell
) -> None:
    notice = tell(user)
    page = body(browser)
    assert "2 API tokens expire" in page
    assert ">Backup</p>" in page
    assert ">Uptime probe</p>" in page
    assert f'<time datetime="{notice.created_at:%Y-%m-%dT%H:%M}' in page
    assert f'href="/accounts/{ACCOUNT_ID}/notifications/{notice.pk}/"' in page
    assert "Show these tokens" in page


def test_the_link_speaks_of_one_token_when_it_is_one(
    browser: Client, user: Membership, tell: Tell
) -> None:
    tell(user, text="Backup")
    tell(user, text="Ask her.", kind=TOKEN_CHANGED_BY_OTHERS)
    page = body(browser)
    assert "Show this token" in page
    assert "Show details" in page, "of one that may be deleted"
    assert "Show these tokens" not in page


def test_unread_notices_say_so_in_words(
    browser: Client, user: Membership, tell: Tell, now: datetime
) -> None:
    tell(user)
    read = tell(user)
    Notice.objects.filter(pk=read.pk).update(read_at=now)
    assert body(browser).count("Unread\n") == 1


def test_the_newest_comes_first(
    browser: Client, user: Membership, tell: Tell, now: datetime
) -> None:
    tell(user, "The older", at=now - timedelta(hours=1))
    tell(user, "The newer", at=now)
    page = body(browser)
    assert page.index("The newer") < page.index("The older")


def test_an_empty_inbox_says_what_will_come(browser: Client) -> None:
    page = body(browser)
    assert "You're all caught up" in page
    assert "Mark all as read" not in page


def test_many_lines_are_folded(browser: Client, user: Membership, tell: Tell) -> None:
    tell(user, text="\n".join(f"Token {number}" for number in range(9)))
    assert "and 4 more" in body(browser)


def test_a_fold_never_hides_a_single_line(browser: Client, user: Membership, tell: Tell) -> None:
    tell(user, text="\n".join(f"Token {number}" for number in range(6)))
    assert "more\n" not in body(browser)


def test_names_are_shown_as_text(browser: Client, user: Membership, tell: Tell) -> None:
    tell(user, "<script>alert(1)</script>", "<b>bold</b>")
    page = body(browser)
    assert "<script>alert" not in page
    assert "<b>bold" not in page


def test_a_page_has_25_notices(browser: Client, user: Membership, tell: Tell) -> None:
    for number in range(27):
        tell(user, f"Notice {number}")
    assert body(browser).count("Mark as read") == 25
    assert body(browser, f"{INBOX}?page=2").count("Mark as read") == 2


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "", "1e9", "９"])
def test_a_page_that_is_not_there_is_no_error(
    browser: Client, user: Membership, tell: Tell, page: str
) -> None:
    tell(user)
    assert browser.get(INBOX, {"page": page}).status_code == 200


def test_a_notice_of_a_kind_that_is_no_more_can_still_be_read(
    browser: Client, user: Membership, tell: Tell
) -> None:
    Notice.objects.filter(pk=tell(user).pk).update(kind="gone")
    assert ">Open<" in body(browser)


@pytest.mark.parametrize("notices", [1, 12])
def test_the_inbox_costs_the_same_queries_for_any_number_of_notices(
    browser: Client,
    user: Membership,
    tell: Tell,
    notices: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(notices):
        tell(user)
    with django_assert_num_queries(7):
        # session, user, memberships, count, notices, unread notices, expiring tokens
        body(browser)


# --- Marking as read ---------------------------------------------------------------------------


def test_following_a_notice_marks_it_read_and_leads_to_its_tokens(
    browser: Client, user: Membership, tell: Tell
) -> None:
    notice, other = tell(user), tell(user)
    answer = browser.get(f"{INBOX}{notice.pk}/")
    assert (answer.status_code, answer["Location"]) == (302, f"{TOKENS}?ids=1,2")
    assert list(Notice.objects.unread()) == [other]


def test_following_it_again_keeps_when_it_was_read(
    browser: Client, user: Membership, tell: Tell
) -> None:
    notice = tell(user)
    browser.get(f"{INBOX}{notice.pk}/")
    notice.refresh_from_db()
    first = notice.read_at
    browser.get(f"{INBOX}{notice.pk}/")
    notice.refresh_from_db()
    assert notice.read_at == first is not None


def test_a_notice_without_a_link_leads_back_to_the_inbox(
    browser: Client, user: Membership, tell: Tell
) -> None:
    notice = tell(user, link="")
    assert browser.get(f"{INBOX}{notice.pk}/")["Location"] == INBOX


def test_one_notice_is_marked_as_read(browser: Client, user: Membership, tell: Tell) -> None:
    notice, other = tell(user), tell(user)
    answer = browser.post(f"{INBOX}{notice.pk}/read/", {"page": "2"})
    assert (answer.status_code, answer["Location"]) == (302, f"{INBOX}?page=2")
    assert list(Notice.objects.unread()) == [other]


def test_marking_is_idempotent(browser: Client, user: Membership, tell: Tell) -> None:
    notice = tell(user)
    for _ in range(2):
        assert browser.post(f"{INBOX}{notice.pk}/read/").status_code == 302


def test_all_notices_are_marked_as_read(browser: Client, user: Membership, tell: Tell) -> None:
    for _ in range(3):
        tell(user)
    answer = browser.post(f"{INBOX}read/", follow=True)
    assert "3 notifications were marked as read." in answer.content.decode()
    assert not Notice.objects.unread().exists()


@pytest.mark.parametrize("page", ["", "?page=2"])
def test_notice_that_came_after_the_page_stays_unread(
    browser: Client, user: Membership, tell: Tell, page: str
) -> None:
    for _ in range(26):
        tell(user)
    newest = re.search(r'name="newest" value="(\d+)"', body(browser, INBOX + page))
    assert newest
    unseen = tell(user)
    browser.post(f"{INBOX}read/", {"newest": newest[1]})
    assert Notice.objects.unread().get() == unseen


@pytest.mark.parametrize("newest", ["x", "-1", "9" * 30])
def test_nonsense_for_the_newest_notice_marks_none(
    browser: Client, user: Membership, tell: Tell, newest: str
) -> None:
    tell(user)
    assert browser.post(f"{INBOX}read/", {"newest": newest}).status_code == 302
    assert Notice.objects.unread().exists()


@pytest.mark.parametrize("page", ["//evil.example", "1&next=//evil.example", "-1", "x", "9" * 20])
def test_marking_leads_nowhere_but_to_the_inbox(browser: Client, page: str) -> None:
    assert browser.post(f"{INBOX}read/", {"page": page})["Location"] == INBOX


@pytest.mark.parametrize("path", ["read/", "{}/read/"])
def test_opening_an_address_marks_nothing(
    browser: Client, user: Membership, tell: Tell, path: str
) -> None:
    notice = tell(user)
    assert browser.get(INBOX + path.format(notice.pk)).status_code == 405
    assert Notice.objects.unread().count() == 1


@pytest.mark.parametrize("path", ["read/", "{}/read/"])
def test_marking_needs_the_form_of_the_page(
    user: Membership, sign_in: SignIn, tell: Tell, path: str
) -> None:
    notice, forger = tell(user), Client(enforce_csrf_checks=True)
    sign_in(forger, user)
    assert forger.post(INBOX + path.format(notice.pk)).status_code == 403
    assert Notice.objects.unread().count() == 1


# --- Others ------------------------------------------------------------------------------------


def everyones(
    administrator: Membership, stranger: Membership, user: Membership
) -> list[Membership]:
    """A teammate, a stranger, and the same person in another account."""
    return [administrator, stranger, MembershipFactory.create(user=user.user)]


def test_an_inbox_shows_neither_other_people_nor_other_accounts(
    browser: Client,
    administrator: Membership,
    stranger: Membership,
    user: Membership,
    tell: Tell,
) -> None:
    for other in everyones(administrator, stranger, user):
        tell(other)
    page = body(browser)
    assert "You're all caught up" in page
    assert "unread notification<" not in page


@pytest.mark.parametrize(("method", "path"), [("get", "{}/"), ("post", "{}/read/")])
def test_a_notice_of_somebody_else_is_not_found(
    browser: Client,
    administrator: Membership,
    stranger: Membership,
    user: Membership,
    tell: Tell,
    method: str,
    path: str,
) -> None:
    missing = getattr(browser, method)(INBOX + path.format(987_654))
    assert missing.status_code == 404
    for other in everyones(administrator, stranger, user):
        notice = tell(other)
        answer = getattr(browser, method)(INBOX + path.format(notice.pk))
        assert answer.status_code == 404
        assert notice.title not in answer.content.decode()
    assert Notice.objects.unread().count() == 3


def test_marking_all_leaves_other_people_and_other_accounts_alone(
    browser: Client,
    administrator: Membership,
    stranger: Membership,
    user: Membership,
    tell: Tell,
) -> None:
    tell(user)
    for other in everyones(administrator, stranger, user):
        tell(other)
    browser.post(f"{INBOX}read/")
    assert Notice.objects.unread().count() == 3


@pytest.mark.parametrize(
    "path",
    [
        INBOX,
        f"{INBOX}1/",
        f"{INBOX}settings/",
    ],
)
def test_strangers_are_asked_to_sign_in(client: Client, db: None, path: str) -> None:
    assert client.get(path)["Location"].startswith("/sign-in/?next=/")


def test_a_person_without_an_account_is_told_so(client: Client, db: None) -> None:
    client.force_login(UserFactory.create())
    for path in ("/notifications/", "/profile/notifications/"):
        answer = client.get(path)
        assert answer.status_code == 403
        page = answer.content.decode()
        assert "belong to an account</h1>" in page
        assert "unread notification" not in page


def test_a_person_who_was_removed_reads_nothing_any_more(
    browser: Client, user: Membership, tell: Tell, now: datetime
) -> None:
    notice = tell(user)
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    assert browser.get(INBOX).status_code == 404
    assert browser.get(f"{INBOX}{notice.pk}/").status_code == 404
    assert not Notice.objects.exclude(read_at=None).exists()


# --- The bell ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unread", "words", "number"),
    [
        (0, "No unread notifications", None),
        (1, "1 unread notification", "1"),
        (3, "3 unread notifications", "3"),
        (99, "99 unread notifications", "99"),
        (100, "More than 99 unread notifications", "99+"),
        (130, "More than 99 unread notifications", "99+"),
    ],
)
def test_the_bell_says_how_many_are_unread(
    browser: Client, user: Membership, now: datetime, unread: int, words: str, number: str | None
) -> None:
    Notice.objects.bulk_create(
        Notice(
            user=user.user,
            account=user.account,
            kind=TOKEN_EXPIRING.code,
            title="Look",
            created_at=now,
        )
        for _ in range(unread)
    )
    page = "".join(line.strip() for line in body(browser, "/profile/").splitlines())
    assert f'<span class="visually-hidden">{words}</span>' in page
    badge = f'<span class="badge badge--alert" aria-hidden="true">{number}</span>'
    assert (badge in page) is (number is not None)


def test_the_bell_rings_for_the_account_of_the_page(
    browser: Client, user: Membership, tell: Tell
) -> None:
    elsewhere = MembershipFactory.create(user=user.user)
    tell(elsewhere)
    theirs = f"/accounts/{elsewhere.account_id}/"
    assert "No unread notifications" in body(browser, TOKENS)
    assert "1 unread notification<" in body(browser, f"{theirs}api-tokens/")
    assert "No unread notifications" in body(browser, TOKENS)
    assert f'href="{INBOX}"' in body(browser, TOKENS)
    assert f'href="{theirs}notifications/"' in body(browser, theirs)


def test_the_bell_of_pages_of_no_account_rings_for_the_one_used_last(
    browser: Client, user: Membership, tell: Tell
) -> None:
    elsewhere = MembershipFactory.create(user=user.user)
    tell(elsewhere)
    assert "No unread notifications" in body(browser, "/profile/")
    body(browser, f"/accounts/{elsewhere.account_id}/")
    assert "1 unread notification<" in body(browser, "/profile/")


def test_the_bell_costs_one_query(browser: Client, user: Membership, tell: Tell) -> None:
    tell(user)
    with CaptureQueriesContext(connection) as asked:
        body(browser, "/profile/")
    about_notices = [
        each for each in asked.captured_queries if "notifications_notice" in each["sql"]
    ]
    assert len(about_notices) == 1


def test_strangers_see_no_bell(client: Client, db: None) -> None:
    assert "unread notification" not in client.get("/iam/docs").content.decode()
