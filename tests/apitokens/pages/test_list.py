"""The page "API tokens": what each reader sees, and what it costs."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor
from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db

URL = f"/accounts/{ACCOUNT_ID}/api-tokens/"
FIRST_ID = 200_000_000
"""Of a crowd: among thousands of drawn ids two are the same now and then."""


@pytest.fixture
def admins_browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


@pytest.fixture
def users_browser(client: Client, user: Membership, sign_in: SignIn) -> Client:
    sign_in(client, user)
    return client


def shown(browser: Client, **query: Any) -> list[str]:
    """The names in the table, from top to bottom."""
    answer = browser.get(URL, query)
    assert answer.status_code == 200
    page = answer.content.decode()
    names = re.findall(r'class="tokens__name"[^>]*><bdi>(.*?)</bdi>', page, re.S)
    return [unescape(name) for name in names]


def text(answer: Any) -> str:
    """What a person reads on the page."""
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


# --- Who sees what -----------------------------------------------------------------------------


def test_stranger_is_asked_to_sign_in(client: Client) -> None:
    answer = client.get(URL)
    assert (answer.status_code, answer["Location"]) == (302, f"/sign-in/?next={URL}")


def test_administrator_sees_all_tokens_of_the_account(
    admins_browser: Client, administrator: Membership, user: Membership, issue: Issue
) -> None:
    issue(administrator, name="Own")
    issue(user, name="Of the user")
    assert set(shown(admins_browser)) == {"Own", "Of the user"}


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATORS])
def test_others_see_only_the_tokens_they_issued(
    client: Client, administrator: Membership, issue: Issue, sign_in: SignIn, role: Role
) -> None:
    member = MembershipFactory.create(account=administrator.account, role=role)
    issue(administrator, name="Of the Administrator")
    issue(member, name="Own", role=role)
    sign_in(client, member)
    assert shown(client) == ["Own"]
    assert "Of the Administrator" not in text(client.get(URL, {"status": "all", "q": "Of"}))


def test_nobody_sees_tokens_of_another_account(
    admins_browser: Client, stranger: Membership, issue: Issue
) -> None:
    issue(stranger, name="Globex production")
    answer = admins_browser.get(URL, {"status": "all"})
    assert "Globex" not in answer.content.decode()


def test_removed_member_sees_nothing(
    users_browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, name="Secret name")
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    answer = users_browser.get(URL)
    assert answer.status_code == 404
    assert "Secret name" not in text(answer)
    told = users_browser.get("/", follow=True)
    assert told.status_code == 403
    assert "Secret name" not in text(told)
    assert "You don't belong to an account" in text(told)


def test_member_of_a_closed_account_sees_nothing(
    users_browser: Client, user: Membership, now: datetime
) -> None:
    Account.objects.update(closed_at=now)
    assert users_browser.get(URL).status_code == 404
    assert users_browser.get("/").status_code == 403


def test_person_who_was_deactivated_is_signed_out(users_browser: Client, user: Membership) -> None:
    user.user.is_active = False
    user.user.save()
    assert users_browser.get(URL).status_code == 302


# --- What a row says ---------------------------------------------------------------------------


@pytest.mark.both
def test_row_says_everything_about_a_token(
    users_browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user, name="CI", description="Builds", role=Role.USERS).token
    said = text(users_browser.get(URL))
    for part in (str(token.pk), "CI", user.user.name, "Users", "Active", "Never", "Builds"):
        assert part in said
    assert "Not used yet" in said


def test_name_with_markup_is_shown_as_text(
    users_browser: Client, user: Membership, issue: Issue
) -> None:
    bad = "<script>alert('x')</script>\"'&amp;"
    issue(user, name=bad, description=bad)
    page = users_browser.get(URL).content.decode()
    assert "<script>alert" not in page
    assert shown(users_browser) == [bad]


def test_removed_issuer_is_struck_through(
    admins_browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    page = admins_browser.get(URL).content.decode()
    assert re.search(rf"<s\b[^>]*The user has been deleted[^>]*>.*{user.user.name}", page, re.S)


def test_present_issuer_is_not(admins_browser: Client, user: Membership, issue: Issue) -> None:
    issue(user)
    assert "The user has been deleted" not in admins_browser.get(URL).content.decode()


def test_deleted_token_tells_who_deleted_it(
    admins_browser: Client,
    administrator: Membership,
    user: Membership,
    issue: Issue,
    now: datetime,
) -> None:
    token_services.delete(token=issue(user).token, by=Actor.member(administrator), at=now)
    assert f"by {administrator.user.name}" in text(admins_browser.get(URL, {"status": "deleted"}))


def test_deleted_token_has_no_menu_and_an_active_one_has(
    users_browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    active, gone = issue(user).token, issue(user).token
    token_services.delete(token=gone, by=Actor.member(user), at=now)
    page = users_browser.get(URL, {"status": "all"}).content.decode()
    assert f"/accounts/{ACCOUNT_ID}/api-tokens/{active.pk}/delete/" in page
    assert f"/accounts/{ACCOUNT_ID}/api-tokens/{gone.pk}/delete/" not in page


@pytest.mark.parametrize(("days", "is_marked"), [(6.9, True), (7.1, False), (0.5, True)])
def test_token_that_expires_in_7_days_or_less_is_marked(
    users_browser: Client,
    user: Membership,
    issue: Issue,
    now: datetime,
    days: float,
    is_marked: bool,
) -> None:
    issue(user, expires_at=now + timedelta(days=days))
    said = text(users_browser.get(URL))
    assert ("Expires in" in said) is is_marked
    assert ("1 token expires in 7 days or less" in said) is is_marked


def test_badge_counts_only_what_its_reader_may_see(
    users_browser: Client, administrator: Membership, issue: Issue, now: datetime
) -> None:
    issue(administrator, expires_at=now + timedelta(days=1))
    assert "in 7 days or less" not in text(users_browser.get(URL))


# --- The limit ---------------------------------------------------------------------------------


def test_page_says_how_much_of_the_limit_is_in_use(
    users_browser: Client, user: Membership, administrator: Membership, issue: Issue
) -> None:
    issue(user)
    issue(administrator)
    assert "2 of 50 in use" in text(users_browser.get(URL))


def test_page_at_the_limit_says_so_instead_of_offering_the_form(
    users_browser: Client, user: Membership, issue: Issue
) -> None:
    issue(user)
    Account.objects.update(token_limit=1)
    answer = users_browser.get(URL)
    assert "All 1 are in use" in text(answer)
    assert f"/accounts/{ACCOUNT_ID}/api-tokens/create/" not in answer.content.decode()


def test_page_below_the_limit_offers_the_form(users_browser: Client) -> None:
    assert f"/accounts/{ACCOUNT_ID}/api-tokens/create/" in users_browser.get(URL).content.decode()


# --- Filters, search, sorting, pages -----------------------------------------------------------


@pytest.fixture
def four(user: Membership, issue: Issue, now: datetime) -> None:
    """One token of every status, and one that expires soon."""
    past = now - timedelta(days=30)
    issue(user, name="Active", at=past)
    issue(user, name="Soon", at=past, expires_at=now + timedelta(days=2))
    issue(user, name="Expired", at=past, expires_at=now - timedelta(days=2))
    gone = issue(user, name="Deleted", at=past, expires_at=now - timedelta(days=1)).token
    token_services.delete(token=gone, by=Actor.member(user), at=now)


@pytest.mark.both
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, {"Active", "Soon"}),
        ("", {"Active", "Soon"}),
        ("active", {"Active", "Soon"}),
        ("expired", {"Expired"}),
        ("deleted", {"Deleted"}),
        ("all", {"Active", "Soon", "Expired", "Deleted"}),
    ],
)
def test_status_filter_shows_active_tokens_unless_asked_otherwise(
    users_browser: Client, four: None, status: str | None, expected: set[str]
) -> None:
    query = {} if status is None else {"status": status}
    assert set(shown(users_browser, **query)) == expected


@pytest.mark.both
def test_role_filter(admins_browser: Client, administrator: Membership, issue: Issue) -> None:
    issue(administrator, name="Weak", role=Role.USERS)
    issue(administrator, name="Strong", role=Role.ADMINISTRATORS)
    assert shown(admins_browser, role="2") == ["Weak"]
    assert shown(admins_browser, role="1") == ["Strong"]
    assert shown(admins_browser, role="5") == []


@pytest.mark.both
def test_issued_by_filter(
    admins_browser: Client, administrator: Membership, user: Membership, issue: Issue
) -> None:
    issue(administrator, name="Own")
    issue(user, name="Of the user")
    assert shown(admins_browser, issued_by=user.user_id) == ["Of the user"]


def test_issued_by_filter_offers_only_issuers_whose_tokens_the_reader_may_see(
    users_browser: Client,
    user: Membership,
    administrator: Membership,
    stranger: Membership,
    issue: Issue,
) -> None:
    for member in (user, administrator, stranger):
        issue(member)
    page = users_browser.get(URL).content.decode()
    assert user.user.name in page
    assert administrator.user.name not in page
    assert stranger.user.name not in page


@pytest.mark.both
@pytest.mark.parametrize(
    "words", ["nightly", "NIGHTLY BACKUP", "night", "rotterdam", " backup ", "Ärger", "_", "100%"]
)
def test_search_finds_words_in_name_and_description(
    users_browser: Client, user: Membership, issue: Issue, words: str
) -> None:
    issue(user, name="Nightly backup", description="In Rotterdam; Ärger_ at 100%")
    issue(user, name="Other", description="")
    assert shown(users_browser, q=words) == ["Nightly backup"]


@pytest.mark.both
def test_search_finds_the_issuer(
    admins_browser: Client, administrator: Membership, user: Membership, issue: Issue
) -> None:
    issue(administrator, name="Own")
    issue(user, name="Of the user")
    assert shown(admins_browser, q=user.user.name) == ["Of the user"]
    assert shown(admins_browser, q=user.user.email) == ["Of the user"]


@pytest.mark.both
@pytest.mark.parametrize("form", ["{}", "{}$", "{}_", "{}$9f86d0"])
def test_search_finds_the_id_however_it_was_pasted(
    users_browser: Client, user: Membership, issue: Issue, form: str
) -> None:
    token = issue(user, name="Wanted").token
    issue(user, name="Other")
    assert shown(users_browser, q=form.format(token.pk)) == ["Wanted"]


def test_search_does_not_reach_beyond_what_the_reader_may_see(
    users_browser: Client, administrator: Membership, stranger: Membership, issue: Issue
) -> None:
    for member in (administrator, stranger):
        token = issue(member, name="Hidden").token
        assert shown(users_browser, q=str(token.pk), status="all") == []
    assert shown(users_browser, q="Hidden", status="all") == []


@pytest.mark.both
def test_newest_token_comes_first(
    users_browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, name="Old", at=now - timedelta(days=1))
    issue(user, name="New", at=now)
    assert shown(users_browser) == ["New", "Old"]


@pytest.mark.both
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["A", "B", "C"]),
        ("role", ["C", "B", "A"]),  # strongest first
        ("expiration", ["B", "C", "A"]),  # never is last
        ("created", ["C", "A", "B"]),
        ("last_usage", ["A", "C", "B"]),  # not yet used is first
    ],
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_columns_sort_both_ways(
    admins_browser: Client,
    administrator: Membership,
    issue: Issue,
    now: datetime,
    sort: str,
    expected: list[str],
    sign: str,
) -> None:
    def days(number: int) -> datetime:
        return now + timedelta(days=number)

    issue(administrator, name="A", role=Role.USERS, at=days(-2))
    issue(administrator, name="B", role=Role.ENGINEERS, at=days(-1), expires_at=days(10))
    issue(administrator, name="C", role=Role.ADMINISTRATORS, at=days(-3), expires_at=days(20))
    APIToken.objects.filter(name="C").update(last_used_at=days(-2))
    APIToken.objects.filter(name="B").update(last_used_at=days(-1))
    assert shown(admins_browser, sort=sign + sort) == (expected[::-1] if sign else expected)


@pytest.mark.both
def test_pages_show_every_token_once(users_browser: Client, user: Membership, issue: Issue) -> None:
    Account.objects.update(token_limit=100)
    for number in range(23):
        issue(user, name=f"Token {number}")
    pages = [shown(users_browser, page=page, page_size=10) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [10, 10, 3]
    assert len({name for page in pages for name in page}) == 23


def test_page_has_as_many_rows_as_asked(
    users_browser: Client, user: Membership, now: datetime
) -> None:
    many(user, 2 * 101, now)
    sizes = (10, 25, 50, 100)
    assert [len(shown(users_browser, page_size=size)) for size in sizes] == [*sizes]


@pytest.mark.both
@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "9" * 5000, "", "1.5", "last"])
def test_page_that_does_not_exist_shows_the_nearest_one(
    users_browser: Client, user: Membership, issue: Issue, page: str
) -> None:
    issue(user, name="Only")
    assert shown(users_browser, page=page) == ["Only"]


def test_page_size_that_is_not_offered_is_the_usual_one(
    users_browser: Client, user: Membership, now: datetime
) -> None:
    many(user, 2 * 26, now)
    for size in ("0", "-1", "11", "1000000", "x", ""):
        assert len(shown(users_browser, page_size=size)) == 25, size


def test_reader_without_any_token_is_shown_how_to_begin(users_browser: Client) -> None:
    assert "Create your first API token" in text(users_browser.get(URL))


def test_filters_that_find_nothing_say_so(
    users_browser: Client, user: Membership, issue: Issue
) -> None:
    issue(user)
    assert "No matching tokens" in text(users_browser.get(URL, {"q": "nothing like it"}))


@pytest.mark.both
@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("role", "99"),
        ("role", "99999999999999999999"),
        ("role", "x"),
        ("role", "\0"),
        ("status", "sleeping"),
        ("status", "\0"),
        ("issued_by", "no such person"),
        ("issued_by", "0"),
        ("issued_by", "99999999999999999999"),
        ("issued_by", "9" * 5000),
        ("issued_by", "\0"),
        ("q", "\0"),
        ("q", "q" * 256),
        ("sort", "password"),
        ("sort", "--name"),
        ("sort", "issuer__user__password"),
        ("sort", "\0"),
    ],
)
def test_filter_that_makes_no_sense_is_told_and_shows_nothing(
    users_browser: Client, user: Membership, issue: Issue, query: str, value: str
) -> None:
    issue(user, name="Only")
    # No number is a part of anyone's name or address, as it may be of those that tests count.
    for place, person in enumerate(User.objects.order_by("pk")):
        letters = "a" * (place + 1)
        User.objects.filter(pk=person.pk).update(name=letters, email=f"{letters}@example.com")
    answer = users_browser.get(URL, {query: value})
    assert answer.status_code == 400
    assert "Fix one problem" in text(answer)
    assert "table__title" not in answer.content.decode()


def test_issuer_of_another_account_is_told_like_one_that_does_not_exist(
    users_browser: Client, user: Membership, stranger: Membership, issue: Issue
) -> None:
    issue(user)
    issue(stranger)
    answers = {
        text(users_browser.get(URL, {"issued_by": user_id}))
        for user_id in (stranger.user_id, 987_654)
    }
    assert len(answers) == 1


@pytest.mark.both
@pytest.mark.parametrize("query", ["%FF=%FF", "q=%ED%A0%80", "&&", "q=a&q=b", "%", "q[]=1"])
def test_broken_query_is_no_fault_of_ours(users_browser: Client, query: str) -> None:
    assert users_browser.get(f"{URL}?{query}").status_code == 200


def test_query_of_thousands_of_parts_is_refused(users_browser: Client) -> None:
    assert users_browser.get(f"{URL}?{'q=1&' * 2000}").status_code == 400


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_list_is_only_looked_at(users_browser: Client, method: str) -> None:
    assert getattr(users_browser, method)(URL).status_code == 405


# --- What it costs -----------------------------------------------------------------------------


def many(member: Membership, count: int, now: datetime, **facts: Any) -> None:
    """As many tokens as no service would let in, half of them of another issuer."""
    other = MembershipFactory.create(account=member.account)
    APIToken.objects.bulk_create(
        (
            APIToken(
                pk=FIRST_ID + number,
                account=member.account,
                issuer=(member, other)[number % 2],
                name=f"Token {number}",
                role=Role.USERS,
                created_at=now - timedelta(minutes=number),
                **{"digest": bytes(32), "pepper": 1, **facts},
            )
            for number in range(count)
        ),
        batch_size=1000,
    )


QUERIES = 14
"""The session, the person, their memberships, how they like the list, the issuers to choose from,
how many rows, the rows, the use of the limit, single sign-on and whether it has issuers, how many
are suspended, the badge and the bell."""


A_HUNDRED_THOUSAND = [pytest.mark.long, pytest.mark.timeout(900)]
"""On a machine with other work making them took more than the usual five minutes."""
LIMITS = {"scopes": "cdn:purge tokens:read", "allowed_addresses": "10.0.0.0/8\n2001:db8::/48"}


@pytest.mark.both
@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["free", "limited"])
@pytest.mark.parametrize("count", [5, 5000, pytest.param(100_000, marks=A_HUNDRED_THOUSAND)])
def test_list_costs_the_same_queries_for_any_number_of_tokens(
    admins_browser: Client,
    administrator: Membership,
    now: datetime,
    count: int,
    limits: dict[str, str],
    django_assert_num_queries: Any,
) -> None:
    many(administrator, count, now, **limits)
    with django_assert_num_queries(QUERIES):
        answer = admins_browser.get(URL, {"page_size": 100})
    assert answer.content.decode().count("table__title") == min(count, 100)


@pytest.mark.both
@pytest.mark.parametrize("count", [5, 50, 500])
def test_list_of_deleted_tokens_costs_the_same_queries_too(
    admins_browser: Client,
    administrator: Membership,
    now: datetime,
    count: int,
    django_assert_num_queries: Any,
) -> None:
    many(administrator, count, now, deleted_at=now, deleted_by=administrator.user)
    with django_assert_num_queries(QUERIES - 1):  # nobody counts what is suspended
        admins_browser.get(URL, {"page_size": "100", "status": "deleted"})
