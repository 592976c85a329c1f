"""Writing down that tokens are used: last use, days, addresses, and whom it is news for."""

import sqlite3
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from accounts.audit import retention
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.models import APIToken, TokenAddress, TokenUseDay
from apitokens.usage import store
from apitokens.usage.store import UsageSource, Use, in_parts, merged, store_usage, unknown_sources
from notifications.email.rendering import render_mail
from notifications.kinds import TOKEN_USED_FROM_NEW_ADDRESS, Channel
from notifications.models import Mail, Notice
from notifications.preferences.services import turn_off
from notifications.recipients import Person
from tests.apitokens.usage.locks import row_locked
from tests.conftest import Issue, is_on_postgresql
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = [pytest.mark.both, pytest.mark.django_db]

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
HOME, AWAY = "192.0.2.1", "2001:db8::1"


@pytest.fixture
def token(user: Membership, issue: Issue) -> APIToken:
    """A token with the role Users that was never used."""
    return issue(user, at=NOON - timedelta(days=1)).token


@pytest.fixture
def strong(administrator: Membership, issue: Issue) -> APIToken:
    """An Administrators' token that was never used."""
    return issue(administrator, name="Root", role=Role.ADMINISTRATORS).token


def use(token: APIToken, at: datetime = NOON, address: str | None = HOME, times: int = 1) -> Use:
    return Use(token.pk, address, at, at, times)


def last_use(token: APIToken) -> tuple[datetime | None, str | None]:
    token.refresh_from_db()
    return token.last_used_at, token.last_used_address


def days(token: APIToken) -> dict[date, int]:
    return dict(TokenUseDay.objects.filter(token=token).values_list("day", "count"))


def addresses(token: APIToken) -> dict[str, tuple[datetime, datetime]]:
    rows = TokenAddress.objects.filter(token=token)
    return {row.address: (row.first_seen_at, row.last_seen_at) for row in rows}


def news(token: APIToken) -> list[AuditEvent]:
    events = AuditEvent.objects.filter(kind="token.used_from_new_address", subject_id=token.pk)
    return list(events.order_by("at", "pk"))


# --- Last use ----------------------------------------------------------------------------------


def test_latest_of_many_uses_is_the_last_use(token: APIToken) -> None:
    store_usage([use(token, NOON), use(token, NOON + timedelta(seconds=9), AWAY), use(token, NOON)])
    assert last_use(token) == (NOON + timedelta(seconds=9), AWAY)


def test_late_writer_does_not_turn_the_last_use_back(token: APIToken) -> None:
    store_usage([use(token, NOON, HOME)])
    store_usage([use(token, NOON - timedelta(hours=1), AWAY)])
    assert last_use(token) == (NOON, HOME)


def test_use_without_an_address_is_a_use(token: APIToken) -> None:
    store_usage([use(token, address=None)])
    assert (last_use(token), addresses(token)) == ((NOON, None), {})


def test_text_that_is_no_address_is_not_kept(token: APIToken) -> None:
    store_usage([use(token, address="unix:/run/web.sock")])
    assert (last_use(token), addresses(token)) == ((NOON, None), {})


def test_token_that_is_gone_does_not_keep_others_from_being_written(token: APIToken) -> None:
    store_usage([Use(5, HOME, NOON, NOON, 1), use(token)])
    assert last_use(token) == (NOON, HOME)


def test_many_tokens_are_written_by_as_many_statements_as_one(
    user: Membership, issue: Issue
) -> None:
    costs = []
    for number in (1, 30):
        tokens = [issue(user).token for _each in range(number)]
        first = [use(token, NOON) for token in tokens]
        store_usage(first)  # new addresses have a price of their own
        with CaptureQueriesContext(connection) as queries:
            store_usage([use(token, NOON + timedelta(minutes=1)) for token in tokens])
        costs.append(len(queries))
        last = APIToken.objects.filter(pk__in=[token.pk for token in tokens])
        assert {each.last_used_at for each in last} == {NOON + timedelta(minutes=1)}
    assert costs[0] == costs[1]


@pytest.mark.django_db(transaction=True)
def test_store_gives_way_to_another_transaction_that_holds_the_row(token: APIToken) -> None:
    """PostgreSQL: it gives up before a deadlock is looked for, in which another transaction could
    be the one that loses. SQLite has one writer at a time, and no deadlocks: it waits."""
    with row_locked(token, seconds=30 if is_on_postgresql() else 0.3):
        if is_on_postgresql():
            with pytest.raises(OperationalError, match="lock timeout"):
                store_usage([use(token)])
        else:
            store_usage([use(token)])
    store_usage([use(token)])
    assert last_use(token) == (NOON, HOME)


# --- Places ------------------------------------------------------------------------------------

PRIVACY = [f"2001:db8:1:2:{number:x}::7" for number in range(1, 6)]


def test_privacy_addresses_of_one_host_are_news_once(strong: APIToken) -> None:
    for number, address in enumerate(PRIVACY):
        store_usage([use(strong, NOON + timedelta(minutes=number), address)])
    assert [event.address for event in news(strong)] == PRIVACY[:1]
    assert Notice.objects.filter(kind=TOKEN_USED_FROM_NEW_ADDRESS.code).count() == 1
    assert addresses(strong) == {PRIVACY[0]: (NOON, NOON + timedelta(minutes=4))}
    assert last_use(strong)[1] == PRIVACY[4]


def test_privacy_addresses_of_one_flush_are_news_once(strong: APIToken) -> None:
    store_usage([use(strong, NOON, address) for address in PRIVACY])
    assert len(news(strong)) == len(addresses(strong)) == 1


def test_known_place_is_not_asked_about_again(strong: APIToken) -> None:
    store_usage([use(strong, NOON, PRIVACY[0])])
    elsewhere = UsageSource(strong.pk, "2001:db8:1:3::1")
    asked = {*(UsageSource(strong.pk, address) for address in PRIVACY), elsewhere}
    assert unknown_sources(asked) == {elsewhere}


def test_another_network_is_news(strong: APIToken) -> None:
    store_usage([use(strong, NOON, PRIVACY[0])])
    store_usage([use(strong, NOON, "2001:db8:1:3::1")])
    assert [event.address for event in news(strong)] == [PRIVACY[0], "2001:db8:1:3::1"]


def test_place_of_another_token_is_news(strong: APIToken, token: APIToken) -> None:
    store_usage([use(token, NOON, PRIVACY[0])])
    store_usage([use(strong, NOON, PRIVACY[1])])
    assert len(news(strong)) == 1


def test_mapped_address_is_the_ipv4_one(strong: APIToken) -> None:
    store_usage([use(strong, NOON, HOME), use(strong, NOON, f"::ffff:{HOME}")])
    assert list(addresses(strong)) == [HOME]


@pytest.mark.parametrize("days_later", [48, 200])
def test_first_use_is_told_once_though_its_event_was_pruned(
    strong: APIToken, days_later: int
) -> None:
    """Meanwhile a system that was sent the token has asked about it, and the addresses of long ago
    are forgotten."""
    APIToken.objects.filter(pk=strong.pk).update(created_at=NOON - timedelta(days=1))
    store_usage([use(strong)])
    later = NOON + timedelta(days=days_later)
    retention.prune(before=later - timedelta(days=31), by=OPERATOR, at=later)
    store.forget(at=later)
    store_usage([use(strong, at=later, address=None)])

    store_usage([use(strong, at=later, address="198.51.100.7")])

    assert [event.details["is_first_use"] for event in news(strong)] == [False]


def test_question_without_an_address_is_not_the_first_use_by_a_client(strong: APIToken) -> None:
    store_usage([use(strong, NOON, None)])
    store_usage([use(strong, NOON + timedelta(hours=1), HOME)])
    store_usage([use(strong, NOON + timedelta(hours=2), None)])
    store_usage([use(strong, NOON + timedelta(hours=3), AWAY)])
    assert [event.details["is_first_use"] for event in news(strong)] == [True, False]
    first, second = Notice.objects.order_by("pk").values_list("title", flat=True)
    assert "for the first time" in first
    assert "from a new IP address" in second


# --- Days --------------------------------------------------------------------------------------


def test_uses_of_a_day_add_up(token: APIToken) -> None:
    store_usage([use(token, times=3), use(token, address=AWAY, times=4)])
    store_usage([use(token, times=5)])
    assert days(token) == {NOON.date(): 12}


def test_refusals_are_counted_beside_uses_and_are_none(token: APIToken) -> None:
    store_usage([use(token, times=3), use(token, NOON)])
    for _time in range(2):
        late = NOON + timedelta(hours=1)
        store_usage([Use(token.pk, None, late, late, 0, refused=4)])
    day = TokenUseDay.objects.get()
    assert (day.count, day.refused) == (4, 8)
    assert last_use(token) == (NOON, HOME)


def test_days_begin_and_end_in_utc(token: APIToken) -> None:
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    before = midnight - timedelta(microseconds=1)
    store_usage([use(token, before.astimezone()), use(token, midnight, times=2)])
    assert days(token) == {date(2026, 5, 4): 1, date(2026, 5, 5): 2}


def test_counts_of_tokens_do_not_mix(user: Membership, token: APIToken, issue: Issue) -> None:
    other = issue(user).token
    store_usage([use(token, times=3), use(other, times=5)])
    assert (days(token), days(other)) == ({NOON.date(): 3}, {NOON.date(): 5})


@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_tokens_lose_no_count_and_do_not_deadlock(
    user: Membership, issue: Issue
) -> None:
    """Each stores the same days and addresses of two tokens, given in opposite order."""
    tokens = [issue(user, at=NOON - timedelta(days=1)).token for _each in range(2)]
    start, faults = threading.Barrier(4), []

    def store_often(number: int) -> None:
        order = tokens if number % 2 else tokens[::-1]
        start.wait(timeout=30)
        try:
            for second in range(10):
                store_until_taken([use(token, NOON + timedelta(seconds=second)) for token in order])
        except Exception as fault:
            faults.append(fault)
        finally:
            connection.close()

    writers = [threading.Thread(target=store_often, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not faults
    for token in tokens:
        assert days(token) == {NOON.date(): 40}
        assert addresses(token) == {HOME: (NOON, NOON + timedelta(seconds=9))}
        assert last_use(token) == (NOON + timedelta(seconds=9), HOME)


def store_until_taken(uses: list[Use]) -> None:
    """As the flusher does: again, if the rows were locked for long. A deadlock is no such case (on
    SQLite there is none: the transaction takes the one lock as it begins)."""
    while True:
        try:
            return store_usage(uses)
        except OperationalError as error:
            if not any(reason in str(error) for reason in ("lock timeout", "database is locked")):
                raise


# --- Merging and splitting ----------------------------------------------------------------------


def test_uses_are_merged_by_token_address_and_day(token: APIToken) -> None:
    early, late = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
    tomorrow = NOON + timedelta(days=1)
    assert merged([use(token, late), use(token, early, times=2), use(token, tomorrow)]) == [
        Use(token.pk, HOME, early, late, 3),
        use(token, tomorrow),
    ]


def test_parts_are_the_same_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "TOKENS_AT_ONCE", 2)
    uses = [Use(number, HOME, NOON, NOON, 1) for number in (5, 3, 1, 4, 2)]
    parts = [[each.token_id for each in part] for part in in_parts(uses)]
    assert parts == [[1, 2], [3, 4], [5]]
    assert parts == [[each.token_id for each in part] for part in in_parts(reversed(uses))]


# --- Addresses ---------------------------------------------------------------------------------


@pytest.mark.skipif(is_on_postgresql(), reason="PostgreSQL takes as many values as are sent")
def test_sources_are_looked_up_by_so_many_as_sqlite_takes(token: APIToken) -> None:
    """Python's own builds leave the number of values as SQLite has it."""
    sources = {UsageSource(token.pk, f"2001:db8::{number:x}") for number in range(40_000)}
    before = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
    try:
        assert unknown_sources(sources) == sources
    finally:
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, before)


def test_first_and_last_time_of_an_address_are_kept(token: APIToken) -> None:
    store_usage([use(token, NOON)])
    store_usage([Use(token.pk, HOME, NOON - timedelta(hours=2), NOON + timedelta(hours=1), 2)])
    store_usage([use(token, NOON - timedelta(hours=1))])
    assert addresses(token) == {HOME: (NOON - timedelta(hours=2), NOON + timedelta(hours=1))}


def test_spellings_of_an_address_are_one_address(token: APIToken) -> None:
    store_usage([use(token, address="2001:0DB8::0001"), use(token, address=AWAY)])
    assert list(addresses(token)) == [AWAY]


def test_first_use_from_an_address_leaves_an_event(token: APIToken) -> None:
    store_usage([use(token, NOON), use(token, NOON + timedelta(minutes=1), AWAY)])
    told = [(event.at, event.address, event.through_token, event.user) for event in news(token)]
    assert told == [
        (NOON, HOME, token.pk, None),
        (NOON + timedelta(minutes=1), AWAY, token.pk, None),
    ]
    assert [event.details["is_first_use"] for event in news(token)] == [True, False]
    assert news(token)[0].account_id == token.account_id


def test_known_address_leaves_no_event(token: APIToken) -> None:
    store_usage([use(token)])
    store_usage([use(token, NOON + timedelta(days=1))])
    assert len(news(token)) == 1


def test_address_of_another_token_is_new_to_this_one(
    token: APIToken, user: Membership, issue: Issue
) -> None:
    store_usage([use(token)])
    other = issue(user).token
    store_usage([use(other)])
    assert len(news(other)) == 1


@pytest.fixture
def room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ADDRESSES_OF_A_TOKEN", 3)


@pytest.mark.usefixtures("room_for_three")
def test_address_unseen_for_longest_makes_room(token: APIToken) -> None:
    for number in range(5):
        store_usage([use(token, NOON + timedelta(minutes=number), f"192.0.2.{number}")])
    assert set(addresses(token)) == {"192.0.2.2", "192.0.2.3", "192.0.2.4"}


@pytest.mark.usefixtures("room_for_three")
def test_token_that_comes_from_everywhere_is_no_news_any_more(token: APIToken) -> None:
    for number in range(5):
        store_usage([use(token, NOON + timedelta(minutes=number), f"192.0.2.{number}")])
    assert len(news(token)) == 3


@pytest.mark.usefixtures("room_for_three")
def test_no_more_are_kept_when_they_come_at_once(token: APIToken) -> None:
    store_usage([use(token, NOON + timedelta(minutes=n), f"192.0.2.{n}") for n in range(9)])
    assert set(addresses(token)) == {"192.0.2.6", "192.0.2.7", "192.0.2.8"}
    assert len(news(token)) == 3


# --- Notices -----------------------------------------------------------------------------------


def told(**where: object) -> set[str]:
    return set(Notice.objects.filter(**where).values_list("user__email", flat=True))


def test_new_address_of_an_administrators_token_is_told_to_issuer_and_administrators(
    strong: APIToken, administrator: Membership, engineer: Membership, stranger: Membership
) -> None:
    colleague = MembershipFactory.create(account=strong.account, role=Role.ADMINISTRATORS)
    store_usage([use(strong)])
    kind = TOKEN_USED_FROM_NEW_ADDRESS.code
    assert told(kind=kind) == {administrator.user.email, colleague.user.email}
    assert set(Mail.objects.values_list("user__email", flat=True)) == told(kind=kind)


def test_issuer_who_is_no_administrator_any_more_is_told(
    strong: APIToken, administrator: Membership
) -> None:
    Membership.objects.filter(pk=administrator.pk).update(role=Role.USERS)
    store_usage([use(strong)])
    assert told() == {administrator.user.email}


def test_issuer_who_has_left_is_not_told(strong: APIToken, administrator: Membership) -> None:
    colleague = MembershipFactory.create(account=strong.account, role=Role.ADMINISTRATORS)
    Membership.objects.filter(pk=administrator.pk).update(removed_at=NOON)
    store_usage([use(strong)])
    assert told() == {colleague.user.email}


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATORS])
def test_new_address_of_another_token_is_told_to_nobody(
    administrator: Membership, issue: Issue, role: Role
) -> None:
    token = issue(administrator, role=role).token
    store_usage([use(token)])
    assert news(token)
    assert not told()


def test_known_address_is_told_to_nobody(strong: APIToken) -> None:
    store_usage([use(strong)])
    Notice.objects.all().delete()
    store_usage([use(strong, NOON + timedelta(minutes=1))])
    assert not told()


def test_notice_names_the_token_the_addresses_and_what_to_do(strong: APIToken) -> None:
    store_usage([use(strong)])
    store_usage([use(strong, address=AWAY), use(strong, address="192.0.2.2")])
    first, second = Notice.objects.order_by("pk")
    assert first.title == (
        "The API token “Root” with the role Administrators was used for the first time"
    )
    assert second.title == (
        "The API token “Root” with the role Administrators was used from new IP addresses"
    )
    assert second.text.splitlines() == [
        f"IP addresses: {AWAY}, 192.0.2.2",
        "If you don't know who uses it from there, delete the token and create a new one.",
    ]
    assert f"/accounts/{ACCOUNT_ID}/api-tokens/{strong.pk}/" in second.link


def test_notice_of_many_addresses_stays_short(strong: APIToken) -> None:
    store_usage([use(strong, NOON + timedelta(seconds=n), f"192.0.2.{n}") for n in range(25)])
    assert "192.0.2.9 and 15 more" in Notice.objects.get().text


def test_mail_says_the_same(strong: APIToken) -> None:
    store_usage([use(strong)])
    mail = render_mail(Mail.objects.get(), at=NOON)
    assert mail is not None
    assert mail.subject == (
        "The API token “Root” with the role Administrators was used for the first time"
    )
    assert HOME in mail.text
    assert HOME in mail.html


def test_person_who_turned_such_mails_off_gets_none(
    strong: APIToken, administrator: Membership
) -> None:
    person = Person(administrator.user_id, strong.account_id)
    turn_off(person, TOKEN_USED_FROM_NEW_ADDRESS, Channel.EMAIL)
    store_usage([use(strong)])
    assert (Mail.objects.count(), Notice.objects.count()) == (0, 1)


# --- Forgetting --------------------------------------------------------------------------------


def test_address_is_forgotten_after_90_days(token: APIToken) -> None:
    store_usage([use(token, NOON)])
    store.forget(at=NOON + timedelta(days=90) - timedelta(seconds=1))
    assert set(addresses(token)) == {HOME}
    store.forget(at=NOON + timedelta(days=90))
    assert not addresses(token)


def test_forgotten_address_is_news_again(token: APIToken) -> None:
    store_usage([use(token, NOON)])
    store.forget(at=NOON + timedelta(days=90))
    store_usage([use(token, NOON + timedelta(days=91))])
    assert [event.details["is_first_use"] for event in news(token)] == [True, False]


def test_days_that_no_chart_shows_are_forgotten(token: APIToken) -> None:
    store_usage([use(token, NOON - timedelta(days=before)) for before in (0, 29, 30, 31, 60)])
    store.forget(at=NOON)
    assert set(days(token)) == {(NOON - timedelta(days=before)).date() for before in (0, 29, 30)}


def test_forgetting_is_idempotent(token: APIToken) -> None:
    store_usage([use(token, NOON)])
    later = NOON + timedelta(days=100)
    assert store.forget(at=later) == 2
    assert store.forget(at=later) == 0
