"""Who is told of an expiring token, how often, and when: by the scan that decides it."""

import gc
import logging
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from django.db import IntegrityError, connections, transaction
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor
from accounts.models import Account, Membership
from accounts.roles import Role
from apitokens.expiry import scan as expiry
from apitokens.models import APIToken, ExpiryNotice
from apitokens.tokens import editing, rotation
from apitokens.tokens import services as token_services
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS, TOKEN_EXPIRING, Channel
from notifications.models import IN_HAND, Heartbeat, Mail, Notice, State
from notifications.preferences import services as preferences
from notifications.recipients import Person
from tests.conftest import ONCE, is_on_postgresql
from tests.factories import AccountFactory, MembershipFactory, issue

pytestmark = [pytest.mark.both, pytest.mark.django_db]

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
Expiring = Callable[..., APIToken]


@pytest.fixture
def expiring(now: datetime) -> Expiring:
    """`expiring(member, left)`: a token, a month old, that expires `left` after `now`."""

    def act(member: Membership, left: timedelta, *, age: timedelta = 30 * DAY) -> APIToken:
        created = now - age
        return issue(member, at=created, expires_at=now + left).token

    return act


class Told(NamedTuple):
    """A row of the ledger, as people would say it."""

    email: str
    days: int
    channel: str


def told(token: APIToken | None = None) -> list[Told]:
    rows = ExpiryNotice.objects.filter(token=token) if token else ExpiryNotice.objects.all()
    return sorted(Told(*row) for row in rows.values_list("user__email", "days", "channel"))


def both(member: Membership, days: int) -> list[Told]:
    """What a person hears who has chosen nothing."""
    return [Told(member.user.email, days, channel) for channel in ("email", "portal")]


def mails_to(member: Membership) -> list[Mail]:
    of_member = Mail.objects.filter(user=member.user, account=member.account)
    return list(of_member.filter(kind=TOKEN_EXPIRING.code).order_by("created_at"))


# --- Who ---


def test_issuer_and_administrators_are_told_and_nobody_else(
    user: Membership,
    engineer: Membership,
    administrator: Membership,
    stranger: Membership,
    expiring: Expiring,
    now: datetime,
) -> None:
    token = expiring(user, 7 * DAY)
    expiry.scan(at=now)
    assert told(token) == sorted(both(user, 7) + both(administrator, 7))


def test_administrator_who_is_the_issuer_is_told_once(
    administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(administrator, DAY)
    expiry.scan(at=now)
    assert told(token) == both(administrator, 1)
    assert Mail.objects.count() == Notice.objects.count() == 1


def test_one_digest_tells_a_person_of_all_tokens_of_an_account(
    user: Membership, administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    for left in (DAY, 2 * DAY, 7 * DAY):
        expiring(user, left)
    expiring(administrator, 3 * DAY)
    done = expiry.scan(at=now)
    assert done == expiry.Scan(tokens=4, notices=14, mails=2)
    assert len(mails_to(user)) == len(mails_to(administrator)) == 1
    titles = Notice.objects.values_list("user__email", "title")
    assert dict(titles) == {
        user.user.email: "3 API tokens are about to expire, the first within 1 day",
        administrator.user.email: "4 API tokens are about to expire, the first within 1 day",
    }


def test_person_in_two_accounts_gets_a_digest_for_each(
    user: Membership, account: Account, expiring: Expiring, now: datetime
) -> None:
    elsewhere = MembershipFactory.create(user=user.user, role=Role.USERS)
    expiring(user, DAY)
    expiring(elsewhere, DAY)
    expiry.scan(at=now)
    assert len(mails_to(user)) == len(mails_to(elsewhere)) == 1


@pytest.mark.parametrize("channel", Channel)
def test_person_is_told_by_the_channels_they_want(
    user: Membership, expiring: Expiring, now: datetime, channel: Channel
) -> None:
    preferences.turn_off(Person(user.user_id, user.account_id), TOKEN_EXPIRING, channel)
    token = expiring(user, DAY)
    expiry.scan(at=now)
    assert [row.channel for row in told(token)] == [each for each in Channel if each != channel]
    assert Mail.objects.count() == (channel is not Channel.EMAIL)
    assert Notice.objects.count() == (channel is not Channel.PORTAL)


def test_who_allows_no_notifications_is_told_nothing(
    user: Membership, administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    person = Person(user.user_id, user.account_id)
    preferences.choose(person, preferences.settings_of(person)._replace(allows_any=False))
    token = expiring(user, DAY)
    expiry.scan(at=now)
    assert told(token) == both(administrator, 1)


def test_settings_of_one_account_and_kind_leave_the_others_alone(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    elsewhere = MembershipFactory.create(user=user.user, role=Role.USERS)
    person = Person(elsewhere.user_id, elsewhere.account_id)
    preferences.turn_off(person, TOKEN_EXPIRING, Channel.EMAIL)
    here = Person(user.user_id, user.account_id)
    preferences.turn_off(here, TOKEN_CHANGED_BY_OTHERS, Channel.EMAIL)
    token = expiring(user, DAY)
    expiry.scan(at=now)
    assert told(token) == both(user, 1)


def test_issuer_who_left_is_told_nothing(
    user: Membership, administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, DAY)
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    expiry.scan(at=now)
    assert told(token) == both(administrator, 1)


def test_inactive_people_are_told_nothing(
    user: Membership, administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, DAY)
    user.user.is_active = False
    user.user.save()
    expiry.scan(at=now)
    assert told(token) == both(administrator, 1)


def test_nobody_is_told_of_a_closed_account(
    user: Membership, administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    expiring(user, DAY)
    Account.objects.filter(pk=user.account_id).update(closed_at=now)
    expiry.scan(at=now)
    assert told() == []
    assert not Notice.objects.exists()


def test_former_administrator_is_told_of_their_own_tokens_only(
    administrator: Membership, user: Membership, expiring: Expiring, now: datetime
) -> None:
    other = MembershipFactory.create(account=user.account, role=Role.ADMINISTRATORS)
    expiring(user, DAY)
    own = expiring(other, DAY)
    Membership.objects.filter(pk=other.pk).update(role=Role.USERS)
    expiry.scan(at=now)
    assert [row for row in told() if row.email == other.user.email] == both(other, 1)
    assert {row.email for row in told(own)} == {other.user.email, administrator.user.email}


# --- When ---


@pytest.mark.parametrize("days", [7, 1])
def test_notice_falls_due_at_the_exact_instant(
    user: Membership, expiring: Expiring, now: datetime, days: int
) -> None:
    token = expiring(user, days * DAY + MINUTE)
    expiry.scan(at=now)
    told_before = len(told(token))
    expiry.scan(at=now + MINUTE - timedelta(microseconds=1))
    assert len(told(token)) == told_before
    expiry.scan(at=now + MINUTE)
    assert [row for row in told(token) if row.days == days] == both(user, days)


def test_long_lived_token_is_told_of_twice_in_its_life(user: Membership, now: datetime) -> None:
    end = now + 60 * DAY
    token = issue(user, at=now, expires_at=end).token
    for half_day in range(62 * 2):
        expiry.scan(at=now + half_day * timedelta(hours=12))
    assert told(token) == sorted(both(user, 1) + both(user, 7))
    token.refresh_from_db()
    assert token.notice_due_at is None


@pytest.mark.parametrize(
    ("life", "days"),
    [(8 * DAY, [7, 1]), (7 * DAY, [1]), (3 * DAY, [1]), (DAY, []), (timedelta(hours=3), [])],
)
def test_token_created_inside_a_window_gets_no_notice_for_it(
    user: Membership, now: datetime, life: timedelta, days: list[int]
) -> None:
    token = issue(user, at=now, expires_at=now + life).token
    for step in range(9 * 8):
        expiry.scan(at=now + step * timedelta(hours=3))
    assert sorted({row.days for row in told(token)}, reverse=True) == days


def _edit(token: APIToken, expires_at: datetime, by: Actor, at: datetime) -> None:
    editing.edit(token=token, changes={"expires_at": expires_at}, by=by, at=at)


def _rotate(token: APIToken, expires_at: datetime, by: Actor, at: datetime) -> None:
    rotation.rotate(token=token, expires_at=expires_at, by=by, at=at)


@pytest.mark.parametrize("bring", [_edit, _rotate])
def test_token_whose_end_is_brought_inside_a_window_gets_no_notice_for_it(
    user: Membership, expiring: Expiring, now: datetime, bring: Callable[..., None]
) -> None:
    token = expiring(user, 30 * DAY)
    bring(token, now + 3 * DAY, Actor.member(user), now)
    expiry.scan(at=now)
    assert told(token) == []
    expiry.scan(at=now + 2 * DAY)
    assert told(token) == both(user, 1)


@pytest.mark.parametrize("left", [timedelta(hours=23), timedelta(minutes=1)])
def test_after_an_outage_only_the_most_urgent_notice_is_told(
    user: Membership, expiring: Expiring, now: datetime, left: timedelta
) -> None:
    token = expiring(user, left)
    expiry.scan(at=now)
    assert told(token) == both(user, 1)
    assert len(mails_to(user)) == 1


def test_after_an_outage_a_late_first_notice_is_told(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, 2 * DAY)
    expiry.scan(at=now)
    assert told(token) == both(user, 7)
    expiry.scan(at=now + DAY)
    assert told(token) == sorted(both(user, 7) + both(user, 1))


def test_nobody_is_told_of_expired_deleted_or_permanent_tokens(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    expiring(user, timedelta(0))
    expiring(user, -DAY)
    deleted = expiring(user, DAY)
    token_services.delete(token=deleted, by=Actor.member(user), at=now)
    issue(user, at=now - 30 * DAY, expires_at=None)
    assert expiry.scan(at=now) == expiry.Scan()
    assert told() == []


def test_expired_tokens_are_not_looked_at_again(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, -DAY)
    assert expiry.oldest_due(now) is not None
    expiry.scan(at=now)
    token.refresh_from_db()
    assert token.notice_due_at is None
    assert expiry.oldest_due(now) is None


def test_token_committed_while_a_scan_is_at_work_keeps_its_notice(
    user: Membership, expiring: Expiring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiring(user, DAY)
    late: list[APIToken] = []
    tell = expiry._tell

    def is_slow(*arguments: object) -> None:
        late.append(issue(user, at=now - 2 * MINUTE, expires_at=now + DAY - MINUTE).token)
        tell(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(expiry, "_tell", is_slow)
        expiry.scan(at=now)
    assert told(late[0]) == []
    expiry.scan(at=now)
    assert told(late[0]) == both(user, 1)


# --- Once ---


def test_scanning_is_idempotent(
    user: Membership, administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    expiring(user, DAY)
    expiring(user, 6 * DAY)
    expiry.scan(at=now)
    before = (told(), Mail.objects.count(), Notice.objects.count())
    assert expiry.scan(at=now) == expiry.Scan()
    assert (told(), Mail.objects.count(), Notice.objects.count()) == before


def test_ledger_decides_whatever_brings_a_token_back(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, DAY)
    expiry.scan(at=now)
    APIToken.objects.filter(pk=token.pk).update(notice_due_at=now)
    expiry.scan(at=now)
    assert told(token) == both(user, 1)
    assert Mail.objects.count() == Notice.objects.count() == 1


def test_what_falls_due_joins_a_mail_that_still_waits(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    first, second = expiring(user, 7 * DAY), expiring(user, DAY + MINUTE)
    expiry.scan(at=now)
    later = now + MINUTE
    expiry.scan(at=later)
    (mail,) = mails_to(user)
    of_mail = ExpiryNotice.objects.filter(mail=mail).values_list("token_id", "days")
    assert set(of_mail) == {(first.pk, 7), (second.pk, 7), (second.pk, 1)}
    assert mail.give_up_at == later + 3 * DAY
    assert mail.resend_in_doubt  # it tells of the last day now
    assert Notice.objects.count() == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"state": State.SENT},
        {"state": State.CLAIMED},
        {"state": State.HANDING_OVER},
        {"state": State.HELD},
        {"state": State.FAILED},
        {"state": State.PENDING, "was_in_doubt": True},
    ],
    ids=str,
)
def test_nothing_joins_a_mail_that_has_begun_or_may_have_arrived(
    user: Membership, expiring: Expiring, now: datetime, facts: dict[str, object]
) -> None:
    expiring(user, 7 * DAY)
    expiring(user, 7 * DAY + MINUTE)
    expiry.scan(at=now)
    if facts["state"] in IN_HAND:
        facts = {**facts, "owner": "some sender", "lease_until": now}
    Mail.objects.update(**facts)
    expiry.scan(at=now + MINUTE)
    assert len(mails_to(user)) == 2


def test_no_notice_by_email_is_without_its_mail(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, DAY)
    facts = {"token": token, "expires_at": now, "days": 1, "user": user.user, "created_at": now}
    ExpiryNotice.objects.create(**facts, channel=Channel.PORTAL)
    with pytest.raises(IntegrityError), transaction.atomic():
        ExpiryNotice.objects.create(**facts, channel=Channel.EMAIL)


@pytest.mark.parametrize(("left", "resends"), [(DAY, True), (7 * DAY, False), (2 * DAY, False)])
def test_only_the_last_notice_is_sent_again_in_doubt(
    user: Membership, expiring: Expiring, now: datetime, left: timedelta, resends: bool
) -> None:
    expiring(user, left)
    expiry.scan(at=now)
    assert mails_to(user)[0].resend_in_doubt is resends


# --- Looking ahead, by hand ---


def test_preview_says_who_would_be_told_and_changes_nothing(
    user: Membership, administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    expiring(user, DAY)
    seen = {digest.member.pk: digest.channels for digest in expiry.preview(at=now)}
    assert seen == {user.pk: set(Channel), administrator.pk: set(Channel)}
    assert told() == []
    assert expiry.scan(at=now).mails == 2


def test_looking_ahead_tells_early_and_not_again(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, 10 * DAY)
    expiry.scan(at=now, due_by=now + 5 * DAY)
    assert told(token) == both(user, 7)
    assert mails_to(user)[0].next_try_at == now
    expiry.scan(at=now + 5 * DAY)
    assert told(token) == both(user, 7)
    expiry.scan(at=now + 9 * DAY)
    assert told(token) == sorted(both(user, 7) + both(user, 1))


def test_looking_ahead_beyond_the_end_of_a_token_loses_no_notice(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, 3 * DAY, age=timedelta(0))
    expiry.scan(at=now, due_by=now + 30 * DAY)
    assert told(token) == []
    expiry.scan(at=now + 2 * DAY)
    assert told(token) == both(user, 1)


def test_looking_back_tells_what_is_true_now(
    user: Membership, expiring: Expiring, now: datetime
) -> None:
    token = expiring(user, DAY)
    expiry.scan(at=now, due_by=now - 5 * DAY)
    assert told(token) == both(user, 1)
    expiry.scan(at=now)
    assert told(token) == both(user, 1)


# --- In bulk ---


def queries_of_a_scan(at: datetime) -> int:
    with CaptureQueriesContext(connections["default"]) as queries:
        expiry.scan(at=at)
    return len(queries)


def test_scan_asks_as_much_for_many_tokens_and_people_as_for_one(
    user: Membership, administrator: Membership, expiring: Expiring, now: datetime
) -> None:
    expiring(user, DAY)
    of_one = queries_of_a_scan(now)
    for _account in range(5):
        account = AccountFactory.create()
        members = MembershipFactory.create_batch(4, account=account)
        for member in members:
            expiring(member, DAY)
            expiring(member, 6 * DAY)
    assert queries_of_a_scan(now) <= of_one


def test_scan_goes_on_batch_by_batch(
    user: Membership, expiring: Expiring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "TOKENS_AT_ONCE", 3)
    monkeypatch.setattr(expiry, "ACCOUNTS_LOOKED_AHEAD", 2)
    monkeypatch.setattr(expiry, "ROWS_AT_ONCE", 2)
    for number in range(7):
        member = MembershipFactory.create(account__name=f"Company {number}", role=Role.USERS)
        for _token in range(number):
            expiring(member, DAY)
    done = expiry.scan(at=now)
    assert done == expiry.Scan(tokens=21, notices=42, mails=6)
    assert len(told()) == 42


@pytest.mark.skipif(
    ONCE and not is_on_postgresql(),
    reason="`make test` measures it on PostgreSQL; behind thousands of tests on SQLite something "
    "else in the process grows with it, and alone nothing does",
)
def test_memory_stays_flat(
    expiring: Expiring,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)  # pytest keeps every line of the log, which is not ours
    monkeypatch.setattr(expiry, "TOKENS_AT_ONCE", 8)
    is_scanned = expiry._is_scanned

    def is_scanned_and_tidied(*arguments: Any) -> bool:
        """What is only waiting for the garbage collector is not held."""
        try:
            return is_scanned(*arguments)
        finally:
            gc.collect()

    monkeypatch.setattr(expiry, "_is_scanned", is_scanned_and_tidied)

    def peak_of(accounts: int) -> int:
        for member in MembershipFactory.create_batch(accounts):
            expiring(member, DAY)
        gc.collect()
        gc.freeze()  # what the tests hold is not looked through again and again
        tracemalloc.start()
        expiry.scan(at=now)
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak_of(16)  # whatever is imported or cached the first time
    # Batches of 8; if they were kept, ten times. Another thread may have been at work beside it.
    assert any(peak_of(160) < 2 * peak_of(16) for _time in range(2))


def test_finished_scan_leaves_a_heartbeat(db: None, now: datetime) -> None:
    expiry.scan(at=now)
    assert Heartbeat.objects.get(name=expiry.HEARTBEAT).at >= now


def test_long_scan_leaves_heartbeats_on_its_way(
    expiring: Expiring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "TOKENS_AT_ONCE", 1)
    for member in MembershipFactory.create_batch(3):
        expiring(member, DAY)
    beats: list[bool] = []
    expiry.scan(at=now, report=lambda _digest: beats.append(Heartbeat.objects.exists()))
    assert beats == [False, True, True]


def test_scan_that_another_keeps_out_leaves_none(
    user: Membership, expiring: Expiring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiring(user, DAY)
    monkeypatch.setattr(expiry, "_is_alone", lambda: False)
    assert expiry.scan(at=now) == expiry.Scan()
    assert not Heartbeat.objects.exists()
