"""Mails leave the database once: claimed before, marked after, and resolved if uncertain."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
import time_machine
from celery.signals import worker_shutting_down
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from apitokens.expiry import scan as expiry
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from notifications import tasks
from notifications.email import claims, delivery, rendering
from notifications.email.claims import SENDER_DIED, Batch, lease, pause
from notifications.email.delivery import deliver
from notifications.kinds import TOKEN_EXPIRING
from notifications.models import Heartbeat, Mail, State
from notifications.services import GIVE_UP_AFTER
from tests.conftest import Issue, is_on_postgresql
from tests.factories import MembershipFactory
from tests.mailserver import DROP, HANG, TAKE_AND_DROP, MailServer, Mood
from tests.notifications.conftest import MakeMail

pytestmark = [pytest.mark.both, pytest.mark.django_db]

LATER = timedelta(hours=2)
"""Longer than any pause between two tries."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the sender runs after it but the release of its memory."""


@pytest.fixture
def mails(mail: MakeMail, administrator: Membership) -> Callable[[int], list[Mail]]:
    """`mails(n)`: mails to so many people of one account."""

    def act(number: int) -> list[Mail]:
        account = administrator.account
        return [mail(MembershipFactory.create(account=account)) for _each in range(number)]

    return act


@pytest.fixture
def at(now: datetime) -> Callable[[timedelta], Callable[[], datetime]]:
    """`at(span)`: a clock that stands `span` after `now`."""
    return lambda span: lambda: now + span


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state in Mail.objects.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def is_killed(
    monkeypatch: pytest.MonkeyPatch, where: object, step: str, mail: Mail, clock: Any
) -> None:
    """Let a sender die at this step of its work, with nothing tidied up behind it."""

    def dies(*_arguments: object, **_facts: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "give_back", lambda _batch: None)
        patch.setattr(where, step, dies)
        with pytest.raises(Killed):
            deliver(clock=clock)
    mail.refresh_from_db()


# --- Sent ---


def test_mail_is_sent_once_and_marked(
    server: MailServer, mail: MakeMail, user: Membership, now: datetime
) -> None:
    sent = mail(user)
    assert deliver().sent == 1
    assert deliver().total == 0
    sent.refresh_from_db()
    assert server.recipients == [user.user.email]
    assert sent.state == State.SENT
    assert sent.sent_at is not None
    assert sent.sent_at >= now
    assert server.keeper.taken[0].message["Message-ID"] == rendering.message_id(sent)


def test_a_hundred_and_twenty_mails_share_a_connection(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    waiting = mails(120)
    assert deliver().sent == 120
    assert sorted(server.recipients) == sorted(each.user.email for each in waiting)
    assert server.keeper.connections == 1


def test_mail_that_is_not_due_waits(
    server: MailServer, mail: MakeMail, user: Membership, now: datetime
) -> None:
    mail(user, next_try_at=now + timedelta(hours=1))
    assert deliver().total == 0
    assert deliver(clock=lambda: now + timedelta(hours=1)).sent == 1


def test_inactive_people_get_no_mail(server: MailServer, mail: MakeMail, user: Membership) -> None:
    mail(user)
    user.user.is_active = False
    user.user.save()
    assert deliver().dropped == 1
    assert states() == {State.DROPPED: 1}
    assert server.keeper.connections == 0


# --- Refusals and outages ---


def test_dead_recipient_does_not_hold_up_the_others(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    waiting = mails(10)
    server.keeper.moods_of[waiting[3].user.email] = Mood(rcpt="550 No such user")
    outcome = deliver()
    assert (outcome.sent, outcome.failed) == (9, 1)
    dead = Mail.objects.get(pk=waiting[3].pk)
    assert (dead.state, dead.reason) == (State.FAILED, "550 No such user")
    assert server.keeper.connections == 1


def test_address_that_cannot_be_is_given_up_with_the_reason(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    odd, good = mails(2)
    type(odd.user).objects.filter(pk=odd.user_id).update(email="ada@example.com\nBcc: eve@x.org")
    assert deliver().sent == 1
    odd.refresh_from_db()
    assert odd.state == State.FAILED
    assert odd.reason
    assert server.recipients == [good.user.email]


def test_odd_address_never_stops_a_run(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    odd, *others = mails(4)
    type(odd.user).objects.filter(pk=odd.user_id).update(email="a@[")
    outcome = deliver()
    assert (outcome.sent, outcome.failed) == (3, 1)
    odd.refresh_from_db()
    assert (odd.state, odd.reason.count("'a@['")) == (State.FAILED, 1)
    assert sorted(server.recipients) == sorted(mail.user.email for mail in others)


def test_settings_that_cannot_be_postpone_everything(
    server: MailServer, mails: Callable[[int], list[Mail]], settings: Settings, at: Any
) -> None:
    mails(3)
    settings.EMAIL_HOST = "mail..example.com"
    assert deliver().postponed == 3
    assert states() == {State.PENDING: 3}
    settings.EMAIL_HOST = "localhost"
    assert deliver(clock=at(LATER)).sent == 3


@pytest.mark.parametrize(
    "mood",
    [
        Mood(rcpt="554 5.7.1 Relay access denied"),
        Mood(body="550 5.7.1 We do not know you"),
        Mood(greeting="421 Closed"),
        Mood(greeting=HANG),
        Mood(mail="451 Later"),
        Mood(mail="530 Authentication required"),
        Mood(rcpt=DROP),
        Mood(data=HANG),
    ],
    ids=str,
)
def test_outage_postpones_everything_and_loses_nothing(
    server: MailServer, mails: Callable[[int], list[Mail]], at: Any, mood: Mood
) -> None:
    mails(5)
    server.keeper.mood = mood
    outcome = deliver()
    assert (outcome.postponed, outcome.total) == (5, 5)
    assert states() == {State.PENDING: 5}
    assert all(Mail.objects.values_list("reason", flat=True))
    server.keeper.mood = Mood()
    assert deliver(clock=at(LATER)).sent == 5


def test_server_that_is_down_is_asked_once_in_a_run(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    mails(claims.CLAIM_AT_ONCE + 10)
    server.keeper.mood = Mood(greeting="421 Closed")
    deliver()
    assert server.keeper.connections == 1


def test_busy_server_postpones_one_mail_and_takes_the_others(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    waiting = mails(3)
    server.keeper.moods_of[waiting[0].user.email] = Mood(body="452 Mailbox full")
    outcome = deliver()
    assert (outcome.sent, outcome.postponed) == (2, 1)


def test_pauses_grow_with_each_try_up_to_an_hour() -> None:
    tries = [pause(number) for number in range(20) for _sample in range(20)]
    assert all(timedelta(seconds=15) <= pause(0) <= timedelta(seconds=45) for _ in range(50))
    assert max(tries) <= timedelta(minutes=90)
    assert min(pause(19) for _sample in range(50)) >= timedelta(minutes=30)
    assert len(set(tries)) > 300  # spread, so that many do not come back together


def test_mail_is_given_up_after_three_days_with_the_reason(
    server: MailServer, mail: MakeMail, user: Membership, now: datetime
) -> None:
    waiting = mail(user)
    server.keeper.moods_of[user.user.email] = Mood(rcpt="450 Try later")
    tries = 0
    for moment in (now + number * timedelta(minutes=20) for number in range(4 * 24 * 3)):
        tries += deliver(clock=partial(lambda at: at, moment)).total
    waiting.refresh_from_db()
    assert waiting.state == State.FAILED
    assert waiting.reason == "450 Try later"
    assert waiting.tries == tries
    assert 50 < tries < 160  # about one an hour
    assert waiting.next_try_at > now + timedelta(days=3)


def test_mails_behind_the_first_are_given_up_in_a_long_outage_too(
    server: MailServer, mails: Callable[[int], list[Mail]], at: Any
) -> None:
    mails(4)
    server.close()
    assert deliver(clock=at(timedelta(days=3))).failed == 4
    assert states() == {State.FAILED: 4}
    reason = Mail.objects.values_list("reason", flat=True).distinct().get()
    assert "No connection" in reason


def test_operator_sends_a_mail_after_all(
    server: MailServer, mail: MakeMail, user: Membership, now: datetime
) -> None:
    failed = mail(user, state=State.FAILED, tries=9, reason="550 No such user", give_up_at=now)
    assert delivery.retry(mail=failed, at=now)
    assert deliver(clock=lambda: now).sent == 1
    assert not delivery.retry(mail=failed, at=now)
    assert server.recipients == [user.user.email]


def test_mail_that_an_operator_sends_after_all_has_its_first_pauses_again(
    mail: MakeMail, user: Membership, now: datetime
) -> None:
    failed = mail(user, state=State.FAILED, tries=9, give_up_at=now)
    delivery.retry(mail=failed, at=now)
    failed.refresh_from_db()
    assert (failed.tries, failed.give_up_at) == (0, now + GIVE_UP_AFTER)


def test_mail_that_cannot_be_written_does_not_hold_up_the_others(
    server: MailServer,
    mails: Callable[[int], list[Mail]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd, good = mails(2)
    render_mail = rendering.render_mail

    def writes(mail: Mail, **facts: Any) -> rendering.RenderedEmail | None:
        if mail.pk == odd.pk:
            raise ZeroDivisionError
        return render_mail(mail, **facts)

    monkeypatch.setattr(rendering, "render_mail", writes)
    outcome = deliver()
    assert (outcome.sent, outcome.postponed) == (1, 1)
    assert server.recipients == [good.user.email]
    odd.refresh_from_db()
    assert "ZeroDivisionError" in odd.reason
    assert any(record.exc_info for record in caplog.records)


# --- Senders that die ---


@pytest.mark.parametrize(
    ("where", "step"), [(rendering, "render_mail"), (Batch, "mark_handing_over")]
)
def test_sender_killed_before_the_hand_over_loses_and_doubles_nothing(
    server: MailServer,
    mail: MakeMail,
    user: Membership,
    monkeypatch: pytest.MonkeyPatch,
    at: Any,
    where: object,
    step: str,
) -> None:
    waiting = mail(user)
    is_killed(monkeypatch, where, step, waiting, at(timedelta(0)))
    assert waiting.state == State.CLAIMED
    assert deliver(clock=at(timedelta(0))).total == 0  # the claim holds
    assert deliver(clock=at(lease())).sent == 1
    waiting.refresh_from_db()
    assert not waiting.was_in_doubt
    assert server.recipients == [user.user.email]


@pytest.mark.parametrize(
    ("policy", "is_urgent", "is_resent"),
    [
        ("default", True, True),
        ("default", False, False),
        ("hold", True, False),
        ("hold", False, False),
        ("resend", True, True),
        ("resend", False, True),
    ],
)
def test_sender_killed_before_its_mark_leaves_one_mail_to_the_policy(
    server: MailServer,
    mail: MakeMail,
    user: Membership,
    administrator: Membership,
    monkeypatch: pytest.MonkeyPatch,
    at: Any,
    settings: Settings,
    policy: str,
    is_urgent: bool,
    is_resent: bool,
) -> None:
    settings.UNCERTAIN_DELIVERY = policy
    taken = mail(user, resend_in_doubt=is_urgent)
    untouched = mail(administrator, next_try_at=at(timedelta(seconds=1))())
    is_killed(monkeypatch, Batch, "mark_sent", taken, at(timedelta(seconds=1)))
    assert taken.state == State.HANDING_OVER
    assert deliver(clock=at(lease())).total == 0

    assert deliver(clock=at(lease() + timedelta(seconds=1))).in_doubt == 1
    deliver(clock=at(LATER))
    taken.refresh_from_db()
    untouched.refresh_from_db()
    assert taken.was_in_doubt
    assert taken.state == (State.SENT if is_resent else State.HELD)
    assert server.recipients.count(user.user.email) == (2 if is_resent else 1)
    assert len({each.message["Message-ID"] for each in server.keeper.taken}) == 2
    assert (untouched.state, untouched.was_in_doubt) == (State.SENT, False)
    assert server.recipients.count(administrator.user.email) == 1


def test_held_mail_says_why(mail: MakeMail, user: Membership, now: datetime) -> None:
    doubtful = mail(user, state=State.HANDING_OVER, lease_until=now, resend_in_doubt=False)
    claims.resolve_uncertain_deliveries(at=now)
    doubtful.refresh_from_db()
    assert (doubtful.state, doubtful.reason) == (State.HELD, SENDER_DIED)


def test_connection_lost_after_the_body_ends_the_run(
    server: MailServer, mails: Callable[[int], list[Mail]], at: Any
) -> None:
    mails(4)
    server.keeper.mood = Mood(body=TAKE_AND_DROP)
    outcome = deliver(clock=at(timedelta(0)))
    assert (outcome.in_doubt, outcome.postponed) == (1, 3)
    server.keeper.mood = Mood()
    deliver(clock=at(LATER))
    assert Mail.objects.filter(was_in_doubt=True).count() == 1
    assert len(server.recipients) == 5
    assert len(set(server.recipients)) == 4


def test_server_that_never_says_what_it_took_gets_no_copies_for_days(
    server: MailServer, mail: MakeMail, user: Membership, now: datetime
) -> None:
    waiting = mail(user)
    server.keeper.mood = Mood(body=TAKE_AND_DROP)
    for hours in range(72):
        deliver(clock=partial(lambda at: at, now + timedelta(hours=2 * hours)))
    waiting.refresh_from_db()
    assert waiting.state == State.HELD
    assert len(server.recipients) == claims.RESENT_WITHIN_TRIES + 1


# --- Several senders ---


def test_claim_that_lapsed_but_nobody_took_still_holds(
    server: MailServer, mail: MakeMail, user: Membership, now: datetime
) -> None:
    mail(user)
    minutes = count(step=10)
    assert deliver(clock=lambda: now + timedelta(minutes=next(minutes))).sent == 1


def test_slow_sender_keeps_what_it_has_in_hand(
    server: MailServer, mails: Callable[[int], list[Mail]], now: datetime
) -> None:
    mails(20)
    seconds = count(step=0.5)
    leases: set[bool] = set()

    def clock() -> datetime:
        return now + timedelta(seconds=next(seconds))

    def looks() -> bool:
        at = now + timedelta(seconds=next(seconds))
        leases.add(Mail.objects.abandoned(at).exists())
        return False

    assert deliver(clock=clock, is_stopping=looks).sent == 20
    assert leases == {False}


def test_machine_with_a_long_name_sends_too(
    server: MailServer, mail: MakeMail, user: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a pod of Kubernetes has. PostgreSQL takes no text that is longer than its column."""
    monkeypatch.setattr("socket.gethostname", lambda: "p" * 63)
    mail(user)
    one, other = Batch(timezone.now), Batch(timezone.now)
    assert one.owner != other.owner
    assert len(one.owner) <= (Mail._meta.get_field("owner").max_length or 0)
    assert deliver().sent == 1


def test_mail_that_another_sender_has_taken_over_is_left_to_it(
    server: MailServer, mail: MakeMail, user: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = mail(user)
    render_mail = rendering.render_mail

    def is_slow(mail: Mail, **facts: Any) -> rendering.RenderedEmail | None:
        Mail.objects.filter(pk=mail.pk).update(owner="another")
        return render_mail(mail, **facts)

    monkeypatch.setattr(rendering, "render_mail", is_slow)
    assert deliver().total == 0
    waiting.refresh_from_db()
    assert (waiting.state, waiting.owner) == (State.CLAIMED, "another")
    assert server.keeper.taken == []


@pytest.mark.parametrize("resends", [True, False])
def test_late_answer_settles_the_doubt_of_others(
    server: MailServer,
    mail: MakeMail,
    user: Membership,
    at: Any,
    monkeypatch: pytest.MonkeyPatch,
    resends: bool,
) -> None:
    waiting = mail(user, resend_in_doubt=resends)
    mark_sent = Batch.mark_sent

    def is_late(claimed: Batch, mail: Mail) -> int:
        assert claims.resolve_uncertain_deliveries(at=at(LATER)()) == 1
        return mark_sent(claimed, mail)

    monkeypatch.setattr(Batch, "mark_sent", is_late)
    assert deliver().sent == 1
    monkeypatch.undo()
    waiting.refresh_from_db()
    assert waiting.state == State.SENT
    assert deliver(clock=at(LATER + LATER)).total == 0


def test_settling_is_idempotent(mail: MakeMail, user: Membership, now: datetime) -> None:
    mail(user, state=State.HANDING_OVER, lease_until=now)
    assert claims.resolve_uncertain_deliveries(at=now) == 1
    assert claims.resolve_uncertain_deliveries(at=now) == 0


def test_doubt_is_settled_only_as_long_as_its_sender_is_the_one_who_left_it(
    mail: MakeMail, user: Membership, now: datetime
) -> None:
    doubtful = mail(user, state=State.HANDING_OVER, owner="one", lease_until=now)
    Mail.objects.update(owner="two", lease_until=now + lease())
    assert claims.resolve_uncertain_delivery(doubtful, SENDER_DIED, at=now) == 0
    doubtful.refresh_from_db()
    assert (doubtful.state, doubtful.owner) == (State.HANDING_OVER, "two")


def test_lease_of_a_hand_over_begins_with_it(
    server: MailServer,
    mail: MakeMail,
    user: Membership,
    monkeypatch: pytest.MonkeyPatch,
    now: datetime,
) -> None:
    taken, minutes, begun = mail(user), count(step=1), []
    mark = Batch.mark_handing_over

    def clock() -> datetime:
        return now + timedelta(minutes=next(minutes))

    def marks(claimed: Batch, mail: Mail) -> None:
        begun.append(clock())
        mark(claimed, mail)

    monkeypatch.setattr(Batch, "mark_handing_over", marks)
    is_killed(monkeypatch, Batch, "mark_sent", taken, clock)
    assert taken.lease_until is not None
    assert taken.lease_until > begun[0] + lease()


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_within_a_transaction(
    server: MailServer, mail: MakeMail, user: Membership
) -> None:
    mail(user)
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        deliver()
    assert server.keeper.taken == []


# --- What the database refuses ---


@pytest.mark.parametrize(
    "facts",
    [
        {"state": "lost"},
        {"state": State.CLAIMED, "lease_until": None},
        {"state": State.CLAIMED, "owner": ""},
        {"state": State.HANDING_OVER, "lease_until": None},
        {"state": State.HANDING_OVER, "owner": ""},
        {"state": State.PENDING, "owner": "some sender"},
        {"state": State.SENT, "lease_until": datetime.max.replace(tzinfo=UTC)},
    ],
    ids=str,
)
def test_mail_has_an_owner_and_a_lease_or_neither(
    mail: MakeMail, user: Membership, facts: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        mail(user, **facts)


# --- The end of a run ---


def test_run_that_is_asked_to_stop_gives_back_what_it_did_not_begin(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    mails(10)
    outcome = deliver(is_stopping=lambda: len(server.keeper.taken) >= 3)
    assert outcome.sent == 3
    assert states() == {State.SENT: 3, State.PENDING: 7}
    assert deliver().sent == 7


def test_run_ends_when_its_time_is_over(
    server: MailServer, mails: Callable[[int], list[Mail]], now: datetime
) -> None:
    mails(3)
    assert deliver(clock=lambda: now, until=now).total == 0


def test_fault_gives_back_what_was_not_begun(
    server: MailServer, mails: Callable[[int], list[Mail]], monkeypatch: pytest.MonkeyPatch
) -> None:
    mails(5)

    def fails(*_arguments: object) -> None:
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "mark_handing_over", fails)
        with pytest.raises(DatabaseError):
            deliver()
    assert states() == {State.CLAIMED: 1, State.PENDING: 4}
    assert server.keeper.taken == []


def test_every_run_leaves_a_heartbeat(db: None, now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        deliver()
    assert Heartbeat.objects.get(name=delivery.HEARTBEAT).at == now


def test_long_run_leaves_heartbeats_on_its_way(
    server: MailServer, mails: Callable[[int], list[Mail]], now: datetime
) -> None:
    mails(3)
    seconds = count(step=20)

    def clock() -> datetime:
        return now + timedelta(seconds=next(seconds))

    beats: set[datetime] = set()

    def looks() -> bool:
        beats.update(Heartbeat.objects.values_list("at", flat=True))
        return False

    deliver(clock=clock, is_stopping=looks)
    assert len(beats) >= 3


def test_log_names_no_person(
    server: MailServer,
    mail: MakeMail,
    user: Membership,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    server.keeper.mood = Mood(body="452 Full")
    mail(user)
    deliver()
    assert user.user.email not in caplog.text


def test_claiming_costs_the_same_for_one_and_for_fifty(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    mails(50)
    claimed = Batch(timezone.now)
    with CaptureQueriesContext(connections["default"]) as queries:
        assert claimed.claim()
    assert len(claimed.mails) == 50
    assert len([each for each in queries if "SAVEPOINT" not in each["sql"]]) <= 4


# --- What mails are rendered from ---


@pytest.fixture
def digests(
    administrator: Membership, issue: Issue, now: datetime
) -> Callable[[int], list[APIToken]]:
    """`digests(n)`: digests to so many people on their way, each of one token."""

    def act(number: int) -> list[APIToken]:
        Membership.objects.filter(pk=administrator.pk).update(role=Role.USERS)
        people = MembershipFactory.create_batch(
            number, account=administrator.account, role=Role.USERS
        )
        start, end = now - timedelta(days=30), now + timedelta(days=1)
        tokens = [issue(person, at=start, expires_at=end).token for person in people]
        expiry.scan(at=now)
        return tokens

    return act


def test_each_more_mail_costs_four_queries_and_two_marks(
    server: MailServer, digests: Callable[[int], list[APIToken]], at: Any
) -> None:
    clock = at(timedelta(0))  # stands still: no heartbeat falls into the count

    def queries_for(number: int) -> int:
        digests(number)
        with CaptureQueriesContext(connections["default"]) as queries:
            assert deliver(clock=clock).sent == number
        return len(queries)

    deliver(clock=clock)  # the first one ever makes the heartbeat
    assert queries_for(30) - queries_for(10) == (4 + 2) * 20


def test_both_marks_wait_for_the_disk(server: MailServer, mail: MakeMail, user: Membership) -> None:
    mail(user)
    with CaptureQueriesContext(connections["default"]) as queries:
        assert deliver().sent == 1
    assert not [each["sql"] for each in queries if "synchronous_commit" in each["sql"]]


def test_token_deleted_while_a_slow_run_is_at_work_is_not_told(
    server: MailServer, digests: Callable[[int], list[APIToken]], now: datetime
) -> None:
    tokens = digests(6)
    seconds = count(step=0.5)

    def looks() -> bool:
        if len(server.keeper.taken) == 2:
            at, by = now + timedelta(seconds=1), Actor.operator(through=EntryPoint.COMMAND)
            token_services.delete_all(tokens=tokens, by=by, at=at)
        return False

    deliver(clock=lambda: now + timedelta(seconds=next(seconds)), is_stopping=looks)
    of_digests = Mail.objects.filter(kind=TOKEN_EXPIRING.code)
    assert of_digests.filter(state=State.SENT).count() == 2
    assert of_digests.filter(state=State.DROPPED).count() == 4


# --- Workers ---


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The tasks that are enqueued for more senders."""
    enqueued: list[object] = []
    monkeypatch.setattr(tasks.deliver_mails, "apply_async", lambda **how: enqueued.append(how))
    return enqueued


def test_task_sends_what_is_due_and_needs_no_help_with_little(
    server: MailServer, mails: Callable[[int], list[Mail]], calls: list[object]
) -> None:
    mails(3)
    assert tasks.deliver_mails() == 3
    assert calls == []


def test_task_calls_another_sender_where_that_helps(
    server: MailServer,
    mails: Callable[[int], list[Mail]],
    calls: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claims, "CLAIM_AT_ONCE", 2)
    monkeypatch.setattr(delivery, "HELP_FROM", 2)
    mails(5)
    tasks.deliver_mails()
    assert len(calls) == (1 if is_on_postgresql() else 0)


@pytest.mark.parametrize("mood", [Mood(greeting="421 Closed"), Mood(body=DROP)], ids=str)
def test_nobody_is_called_to_a_server_that_takes_nothing(
    server: MailServer,
    mails: Callable[[int], list[Mail]],
    calls: list[object],
    monkeypatch: pytest.MonkeyPatch,
    mood: Mood,
) -> None:
    monkeypatch.setattr(delivery, "needs_help", lambda *, at: Mail.objects.due(at).exists())
    monkeypatch.setattr(claims, "CLAIM_AT_ONCE", 2)
    mails(6)
    server.keeper.mood = mood
    tasks.deliver_mails()
    assert calls == []
    server.keeper.mood = Mood()
    tasks.deliver_mails()
    assert len(calls) == 1


def test_worker_that_shuts_down_ends_the_run(
    server: MailServer, mails: Callable[[int], list[Mail]]
) -> None:
    mails(3)
    worker_shutting_down.send(sender="worker", sig="SIGTERM", how="Warm", exitcode=0)
    try:
        assert tasks.deliver_mails() == 0
    finally:
        tasks._stopping[0] = 0
    assert tasks.deliver_mails() == 3
