"""Profile → Audit log: who sees what, and what can be asked."""

import ast
import re
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.audit import labels, visibility
from accounts.audit import recorder as audit
from accounts.audit.listing import NOT_FOR_PEOPLE
from accounts.audit.visibility import events_of_token, events_visible_to
from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import Account, AuditEvent, Membership, User
from accounts.roles import Role
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory, UserFactory, acting

ROOT = Path(__file__).resolve().parents[3]
PAGE = "accounts:audit_log"
DONE = "[a-z]+ed|ending|set|sent|left|made|forgotten|withdrawn"


def kinds(member: Membership) -> list[str]:
    """The kinds of all events that the member may see, oldest first. Those of an account with many
    people are found in another way, and are the same."""
    found = _kinds(member)
    with patch.object(visibility, "FEW_PEOPLE", 0):
        assert _kinds(member) == found
    return found


def _kinds(member: Membership) -> list[str]:
    visible = events_visible_to(Actor.member(member))
    return list(visible.together().order_by("pk").values_list("kind", flat=True))


def personal(user: User, *, at: datetime, kind: str = "sign_in.succeeded") -> AuditEvent:
    by = Actor(through=EntryPoint.PORTAL, user=user, address="203.0.113.9")
    return audit.record(kind, by=by, at=at, subject=user)


def page(client: Client, **query: Any) -> Any:
    return client.get(reverse(PAGE, args=[ACCOUNT_ID]), query)


def shown(client: Client, **query: Any) -> list[str]:
    """The kinds of the events on the page."""
    answer = page(client, **query)
    assert answer.status_code == 200, answer.status_code
    return [row.event.kind for row in answer.context["rows"]]


# Who sees what


def test_administrator_sees_what_everybody_did_in_the_account(
    administrator: Membership, user: Membership, issue: Issue
) -> None:
    issue(user)

    assert kinds(administrator) == ["token.issued"]


def test_member_sees_what_they_did_and_not_what_others_did(
    engineer: Membership, user: Membership, issue: Issue
) -> None:
    issue(user)

    assert kinds(user) == ["token.issued"]
    assert kinds(engineer) == []


def test_member_sees_what_was_done_to_them(
    administrator: Membership, user: Membership, engineer: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    audit.record("member.role_changed", by=by, at=now, account=user.account, subject=user)

    assert kinds(user) == ["member.role_changed"]
    assert kinds(engineer) == []


def test_administrator_of_another_account_sees_nothing(
    stranger: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    personal(user.user, at=now)

    assert kinds(stranger) == []


def test_administrator_sees_how_members_sign_in_but_other_members_do_not(
    administrator: Membership, engineer: Membership, user: Membership, now: datetime
) -> None:
    personal(user.user, at=now)

    assert kinds(administrator) == kinds(user) == ["sign_in.succeeded"]
    assert kinds(engineer) == []


def test_sign_in_from_before_the_membership_is_not_the_accounts_business(
    administrator: Membership, now: datetime
) -> None:
    newcomer = UserFactory.create()
    personal(newcomer, at=now - timedelta(seconds=1))
    MembershipFactory.create(account=administrator.account, user=newcomer, created_at=now)
    personal(newcomer, at=now, kind="sign_out")

    assert kinds(administrator) == ["sign_out"]


def test_sign_in_from_after_the_removal_is_not_the_accounts_business(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    personal(user.user, at=now)
    personal(user.user, at=now + timedelta(seconds=1), kind="sign_out")

    assert kinds(administrator) == ["sign_in.succeeded"]


def test_sign_in_from_between_two_memberships_is_not_the_accounts_business(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    personal(user.user, at=now + timedelta(days=1))
    members.join(account=user.account, user=user.user, role=Role.USERS, at=now + timedelta(days=2))
    personal(user.user, at=now + timedelta(days=2), kind="sign_out")

    assert kinds(administrator) == ["sign_out"]


def test_what_a_member_does_in_their_other_account_stays_there(
    administrator: Membership, user: Membership, stranger: Membership, issue: Issue, now: datetime
) -> None:
    there = MembershipFactory.create(account=stranger.account, user=user.user)
    issue(there)

    assert kinds(administrator) == kinds(user) == []
    assert kinds(stranger) == kinds(there) == ["token.issued"]


def test_profile_changed_through_a_token_is_told_in_the_tokens_account_only(
    administrator: Membership, user: Membership, stranger: Membership, now: datetime
) -> None:
    there = MembershipFactory.create(account=stranger.account, user=user.user)
    token = acting(there, Role.USERS, at=now)
    audit.record("profile.changed", by=token, at=now, subject=user.user)

    assert "profile.changed" in kinds(stranger)
    assert "profile.changed" not in kinds(administrator)


def test_what_a_member_does_as_an_operator_is_not_the_accounts_business(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    by = Actor.operator(through=EntryPoint.ADMIN, user=user.user)
    audit.record("user.created", by=by, at=now, subject=UserFactory.create())

    assert kinds(administrator) == []


def test_weak_token_of_an_administrator_sees_only_what_its_issuer_did(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    token = acting(administrator, Role.USERS, at=now)

    seen = events_visible_to(token)

    assert {event.user_id for event in seen[:25]} == {administrator.user_id}


def test_operators_and_strangers_without_account_see_nothing_here(
    user: Membership, issue: Issue
) -> None:
    issue(user)
    for actor in (
        Actor.operator(through=EntryPoint.ADMIN, user=UserFactory.create()),
        Actor(through=EntryPoint.PORTAL, user=UserFactory.create()),
    ):
        assert not events_visible_to(actor)[:1]


def test_page_says_neither_which_operator_nor_from_where(
    client: Client, administrator: Membership, account: Account, now: datetime, sign_in: SignIn
) -> None:
    operator = UserFactory.create(email="olga@portal.example", name="Olga")
    by = Actor.operator(through=EntryPoint.ADMIN, user=operator, address="198.51.100.77")
    audit.record("account.closed", by=by, at=now, account=account, subject=account)
    sign_in(client, administrator)

    text = page(client).content.decode()

    assert "An operator of the portal" in text
    assert "Olga" not in text
    assert "olga@portal.example" not in text
    assert "198.51.100.77" not in text


# The page


def test_page_tells_who_did_what_through_which_token_from_where_and_when(
    client: Client, user: Membership, sign_in: SignIn, now: datetime
) -> None:
    by = Actor.token(user, token_id=123_456_789, role=Role.USERS, ends_at=None, address="192.0.2.9")
    audit.record(
        *("token.issued",), by=by, at=now, account=user.account, name="<b>Backup</b>", role="Users"
    )
    sign_in(client, user)

    text = page(client).content.decode()

    for words in (
        *("API token created", user.user.name, user.user.email, "123456789", "192.0.2.9"),
        *(f"{now:%Y-%m-%d %H:%M:%S} UTC", "&lt;b&gt;Backup&lt;/b&gt;"),
    ):
        assert words in text, words


@pytest.mark.parametrize("events", [1, 24])
def test_page_costs_the_same_for_any_number_of_events(
    client: Client,
    administrator: Membership,
    events: int,
    issue: Issue,
    sign_in: SignIn,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    sign_in(client, administrator)
    for _number in range(events):
        issue(MembershipFactory.create(account=administrator.account))

    # session, person, memberships, ids of the people, the choice of people, count, events, users
    # whom they are about, who of them belongs here now, which are service accounts, bell, badge
    with django_assert_num_queries(13):
        page(client)


def test_filter_lists_events_in_groups(client: Client, user: Membership, sign_in: SignIn) -> None:
    sign_in(client, user)
    text = page(client).content.decode()
    assert text.count("<optgroup") == len(labels.GROUPS)


def test_browser_is_named_in_short_and_whole_on_demand(
    client: Client, user: Membership, sign_in: SignIn, now: datetime
) -> None:
    whole = (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/156.0.0.0 Safari/537.36"
    )
    by = Actor.member(user)
    audit.record("sign_in.succeeded", by=by, at=now, subject=user.user, user_agent=whole)
    sign_in(client, user)
    text = re.sub(r"\s+", " ", page(client).content.decode())
    assert "<summary> <bdi>Chrome 156 · Linux</bdi> </summary>" in text
    assert f"<bdi>{whole}</bdi> </details>" in text


def test_people_who_belong_here_are_linked_for_administrators(
    client: Client,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    stranger: Membership,
    sign_in: SignIn,
    now: datetime,
) -> None:
    for member in (engineer, user):
        by = Actor.member(administrator)
        audit.record("member.role_changed", by=by, at=now, account=user.account, subject=member)
        audit.record("sign_out", by=Actor.member(member), at=now, account=user.account)
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    MembershipFactory.create(account=stranger.account, user=user.user)
    people = reverse("accounts:people", args=[ACCOUNT_ID])
    linked = re.compile(rf'<a href="{people}\?q=([^"]*)"')

    sign_in(client, administrator)
    found = set(linked.findall(page(client).content.decode()))
    sign_in(client, engineer)
    of_others = set(linked.findall(page(client).content.decode()))

    assert len(found) == 3  # the Administrator, and the engineer as who acted and as the subject
    assert not any(user.user.email.partition("@")[0] in each for each in found)
    assert of_others == set()


def test_pages_show_every_event_once(
    client: Client, user: Membership, sign_in: SignIn, now: datetime
) -> None:
    for _number in range(60):
        audit.record("sign_out", by=Actor.member(user), at=now, account=user.account)
    sign_in(client, user)

    numbers = [
        row.event.pk for number in (1, 2, 3) for row in page(client, page=number).context["rows"]
    ]

    assert len(numbers) == len(set(numbers)) == AuditEvent.objects.count()


def test_newest_event_comes_first(
    client: Client, user: Membership, sign_in: SignIn, now: datetime
) -> None:
    sign_in(client, user)
    later = now + timedelta(hours=1)
    audit.record("sign_out", by=Actor.member(user), at=later, account=user.account)
    audit.record("profile.changed", by=Actor.member(user), at=now, account=user.account)

    assert shown(client)[0] == "sign_out"


def test_account_without_events_says_so(
    client: Client, user: Membership, sign_in: SignIn, now: datetime
) -> None:
    sign_in(client, user)
    Membership.objects.filter(pk=user.pk).update(created_at=now + timedelta(days=1))
    assert "No matching events" in page(client, kind="token.issued").content.decode()


# Filters


@pytest.fixture
def told(
    client: Client, administrator: Membership, user: Membership, sign_in: SignIn, now: datetime
) -> datetime:
    """A log with two people's events of two days, open in the Administrator's browser."""
    at = now.replace(hour=12, minute=0)
    yesterday = at - timedelta(days=1)
    sign_in(client, administrator)
    audit.record("account.renamed", by=Actor.member(administrator), at=at, account=user.account)
    by = Actor.token(user, token_id=123_456_789, role=Role.USERS, ends_at=None)
    audit.record("token.issued", by=by, at=yesterday, account=user.account)
    audit.record("sign_in.refused", by=Actor(through=EntryPoint.PORTAL), at=at, subject=user.user)
    return at


def test_filter_by_person_finds_what_they_did_and_what_befell_them(
    client: Client, told: datetime, user: Membership
) -> None:
    Membership.objects.filter(pk=user.pk).update(created_at=told - timedelta(days=9))

    assert shown(client, person=user.user_id) == ["sign_in.refused", "token.issued"]


def test_filter_by_kind(client: Client, told: datetime) -> None:
    assert shown(client, kind="account.renamed") == ["account.renamed"]


def test_filter_by_days_takes_both_ends_along(client: Client, told: datetime) -> None:
    today, yesterday = f"{told:%Y-%m-%d}", f"{told - timedelta(days=1):%Y-%m-%d}"

    assert "token.issued" not in shown(client, since=today)
    assert "account.renamed" in shown(client, since=today, until=today)
    assert shown(client, until=yesterday) == ["token.issued"]


def test_days_begin_at_midnight_where_the_reader_is(
    client: Client, administrator: Membership, sign_in: SignIn
) -> None:
    User.objects.filter(pk=administrator.user_id).update(time_zone="Asia/Tokyo")
    at = datetime.fromisoformat("2026-03-01T15:30:00Z")  # 00:30 on the second in Tokyo
    by = Actor.member(administrator)
    audit.record("account.renamed", by=by, at=at, account=administrator.account)
    sign_in(client, administrator)

    assert shown(client, since="2026-03-02", until="2026-03-02") == ["account.renamed"]
    assert shown(client, until="2026-03-01") == []


@pytest.mark.parametrize(
    "text",
    [
        *("123456789", " 123456789 ", "123456789$0123", "123456789_0123", "123456789 $"),
        *("\u200b123456789", "123456789\u200b", "\ufeff123456789", "１２３４５６７８９＄"),
    ],
)
def test_filter_by_token_finds_what_it_did(client: Client, told: datetime, text: str) -> None:
    assert shown(client, token=text) == ["token.issued"]


@pytest.mark.both
def test_filter_by_token_finds_nothing_of_another_account(
    administrator: Membership, stranger: Membership, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)

    def found(reader: Membership) -> list[str]:
        events = events_of_token(token.pk, visible_to=Actor.member(reader))
        assert len(events) == len(events[:10])
        return [event.kind for event in events[:10]]

    assert found(administrator) == found(user) == ["token.issued"]
    assert found(stranger) == []


def test_filter_by_token_finds_what_befell_it(
    client: Client, told: datetime, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)

    assert shown(client, token=token.pk) == ["token.issued"]
    assert AuditEvent.objects.filter(kind="token.issued").count() == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("person", text) for text in ("000", "-000", "x", "\0", "9" * 20, "1 OR 1=1")),
        *(("kind", text) for text in ("nonsense", "token", "\0")),
        *(
            ("since", text)
            for text in ("yesterday", "2026-02-30", "0001-01-01", "9999-12-31", "\0")
        ),
        *(("until", text) for text in ("0001-01-01", "9999-12-31")),
        *(("token", text) for text in ("abc", "1.5", "\0", "-1", "9" * 20, "x" * 300)),
    ],
)
def test_filter_that_makes_no_sense_is_answered_with_what_to_do(
    client: Client, told: datetime, field: str, value: str
) -> None:
    answer = page(client, **{field: value})

    assert answer.status_code == 400
    assert field in answer.context["form"].errors
    assert answer.context["rows"] == []


def test_last_day_before_the_first_is_told(client: Client, told: datetime) -> None:
    answer = page(client, since="2026-02-02", until="2026-02-01")

    assert answer.status_code == 400
    assert "on or after the start date" in answer.content.decode()


def test_person_of_another_account_is_no_choice(
    client: Client, told: datetime, stranger: Membership
) -> None:
    assert page(client, person=stranger.user_id).status_code == 400


def test_member_is_not_asked_for_a_person(
    client: Client, user: Membership, engineer: Membership, sign_in: SignIn, issue: Issue
) -> None:
    issue(engineer)
    sign_in(client, user)

    answer = page(client, person=engineer.user_id)

    assert "person" not in answer.context["form"].fields
    assert engineer.user.email not in answer.content.decode()


@pytest.mark.parametrize("number", ["0", "-1", "x", "999999", "\0"])
def test_page_that_is_not_there_shows_one_that_is(
    client: Client, told: datetime, number: str
) -> None:
    assert "account.renamed" in shown(client, page=number)


# Words


@cache
def recorded_kinds() -> set[str]:
    """Every text of the code that reads like the name of an event: `user.created`, which tells of
    something done."""
    named = {kind for group in labels.GROUPS for kind in group.kinds}
    about = "|".join(sorted({kind.partition(".")[0] for kind in named if "." in kind}))
    pattern = re.compile(rf"({about})\.([a-z]+_)*({DONE})(_[a-z]+)*")
    texts = (
        node.value
        for app in ("accounts", "apitokens", "sso", "notifications", "operations", "config")
        for path in (ROOT / app).rglob("*.py")
        if path.name not in ("labels.py", "audit_labels.py") and "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in texts if pattern.fullmatch(text)}


def test_every_event_has_a_name() -> None:
    assert len(recorded_kinds()) > 30
    assert {kind for kind in recorded_kinds() if labels.event_name(kind) == kind} == set()


def test_every_name_is_of_an_event_that_comes_about() -> None:
    named = {kind for group in labels.GROUPS for kind in group.kinds if "." in kind}
    ended = {"member.removed", "member.left"}  # the service composes their codes
    assert named - recorded_kinds() == ended


def recorded_details() -> set[str]:
    """What `audit.record(…)` is given beside the fields of every event, all over the code."""
    calls = (
        node
        for app in ("accounts", "apitokens", "sso", "notifications", "config")
        for path in (ROOT / app).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.record"
    )
    given = {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    return given - {"by", "at", "account", "account_id", "subject"}


def test_every_detail_has_a_name() -> None:
    assert len(recorded_details()) > 10
    assert recorded_details() - set(labels.DETAILS) - NOT_FOR_PEOPLE == set()


def test_reasons_and_ways_are_told_in_words(
    client: Client, administrator: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    audit.record("two_factor.added", by=by, at=now, subject=administrator.user, factor="totp")
    account = administrator.account
    audit.record("invitation.refused", by=by, at=now, account=account, code="late")
    client.force_login(administrator.user)
    told = page(client).content.decode()
    assert "Second factor added" in told
    assert "Authenticator app" in told
    assert "Opened after the link had expired" in told


def test_times_are_told_as_everywhere_in_the_readers_zone(
    client: Client, user: Membership, now: datetime
) -> None:
    User.objects.filter(pk=user.user_id).update(time_zone="Asia/Kolkata")
    ends_at = "2031-03-05T22:59:59+00:00"
    audit.record(
        "token.issued", by=Actor.member(user), at=now, account=user.account, expires_at=ends_at
    )
    client.force_login(user.user)
    (facts,) = [row.facts for row in page(client, kind="token.issued").context["rows"]]
    assert [fact for _name, fact in facts] == ["6 Mar 2031 04:29"]


def test_event_without_a_name_shows_its_code() -> None:
    assert labels.event_name("later.invention") == "later.invention"


@pytest.mark.parametrize(("former", "present"), labels.RENAMED.items())
def test_event_that_was_renamed_shows_the_same_name_and_is_filtered_by_it(
    client: Client, administrator: Membership, now: datetime, former: str, present: str
) -> None:
    by, account = Actor.member(administrator), administrator.account
    for kind in (former, present, "account.renamed"):
        audit.record(kind, by=by, at=now, account=account)
    client.force_login(administrator.user)

    assert labels.event_name(former) == labels.event_name(present) != present
    assert sorted(shown(client, kind=present)) == sorted([former, present])


def test_kept_address_with_a_former_code_still_filters(
    client: Client, administrator: Membership, now: datetime
) -> None:
    by, account = Actor.member(administrator), administrator.account
    audit.record("user.restored", by=by, at=now, account=account)
    audit.record("account.renamed", by=by, at=now, account=account)
    client.force_login(administrator.user)

    answer = page(client, kind="user.restored")

    assert [row.event.kind for row in answer.context["rows"]] == ["user.restored"]
    assert '<option value="user.reactivated" selected>' in answer.content.decode()


def test_renamed_events_are_written_under_the_present_code() -> None:
    assert recorded_kinds().isdisjoint(labels.RENAMED)
    assert set(labels.RENAMED.values()) <= recorded_kinds()


@pytest.mark.both
def test_parts_hold_every_event_once_in_order(administrator: Membership, now: datetime) -> None:
    for number in range(10):
        at = now + timedelta(seconds=number // 4)  # several at one instant
        personal(administrator.user, at=at)
        audit.record("sign_out", by=Actor.member(administrator), at=at, account_id=ACCOUNT_ID)
    events = events_visible_to(Actor.member(administrator))

    everything = list(events.together())
    parts = list(events.values_in_parts(3, "kind"))
    assert [len(part) for part in parts] == [*[3] * 6, 2]
    rows = [row for part in parts for row in part]
    assert rows == [(event.at, event.pk, event.kind) for event in everything]
    assert events[3:7] == everything[3:7]
    assert events.count_to(7) == 7
    assert events.count_to(100) == len(everything) == 20
    assert events.beyond(everything[7].pk, 5, backwards=False) == everything[8:13]
    assert events.beyond(everything[7].pk, 5, backwards=True) == everything[2:7]


@pytest.mark.both
def test_event_that_fits_several_alternatives_is_counted_and_shown_once(
    user: Membership, now: datetime
) -> None:
    personal(user.user, at=now)  # they did it, and it is about them
    events = events_visible_to(Actor.member(user))

    assert events.count_to(10) == len(events[:10]) == 1


def test_key_of_an_event_that_the_reader_cannot_see_leads_nowhere(
    user: Membership, engineer: Membership, now: datetime
) -> None:
    foreign = personal(engineer.user, at=now)

    assert events_visible_to(Actor.member(user)).beyond(foreign.pk, 5, backwards=False) is None
