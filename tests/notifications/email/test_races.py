"""Senders and scans that are at work at the same moment, each with a connection of its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
import time_machine
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from apitokens.expiry import scan as expiry
from apitokens.models import APIToken
from apitokens.tokens import notifications as token_notifications
from apitokens.tokens import rules
from apitokens.tokens import services as token_services
from notifications import jobs
from notifications.email import claims, delivery
from notifications.models import Mail, State
from tests.conftest import Issue, is_on_postgresql
from tests.mailserver import MailServer
from tests.notifications.conftest import MakeMail

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not is_on_postgresql(), reason="SQLite has one writer at a time"),
]

DAY = timedelta(days=1)
Result = TypeVar("Result")
Elsewhere = Callable[[Callable[[], Result]], Result]


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere[object]]:
    """`elsewhere(act)`: what another process does meanwhile. It waits for no lock for long."""

    def alone(act: Callable[[], Result]) -> Result:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '500ms'")
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        yield lambda act: other.submit(alone, act).result(timeout=30)


@pytest.fixture
def token(user: Membership, issue: Issue, now: datetime) -> APIToken:
    """A token whose last notice is due."""
    return issue(user, at=now - 30 * DAY, expires_at=now + DAY).token


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Elsewhere[Result], act: Callable[[], Result]
) -> list[Result]:
    """Let the next scan pause just before its end, with nothing of it committed, while another
    process acts. Returns what came of that, once the scan has run."""
    told: list[Result] = []
    advance = expiry._advance

    def pauses(*arguments: object) -> None:
        told.append(elsewhere(act))
        advance(*arguments)  # type: ignore[arg-type]  # whatever it is called with

    monkeypatch.setattr(expiry, "_advance", pauses)
    return told


def test_sender_passes_by_what_another_is_about_to_claim(
    server: MailServer, mail: MakeMail, user: Membership, elsewhere: Elsewhere[delivery.Outcome]
) -> None:
    mail(user)
    mail(user)
    first = claims.Batch(timezone.now)
    with pytest.MonkeyPatch.context() as patch, transaction.atomic():
        patch.setattr(claims, "CLAIM_AT_ONCE", 1)
        assert claims.Batch.claim.__wrapped__(first)  # type: ignore[attr-defined]  # not committed
        assert elsewhere(delivery.deliver).sent == 1
    (held,) = first.mails
    assert Mail.objects.get(state=State.CLAIMED) == held
    assert len(server.keeper.taken) == 1


def test_scan_leaves_all_to_the_one_that_is_at_work(
    token: APIToken, now: datetime, elsewhere: Elsewhere[expiry.Scan]
) -> None:
    with transaction.atomic():
        assert expiry._is_alone()
        assert elsewhere(lambda: expiry.scan(at=now)) == expiry.Scan()
    assert expiry.scan(at=now).tokens == 1


def test_mail_that_a_scan_adds_to_is_not_sent_before_the_scan_has_ended(
    server: MailServer,
    user: Membership,
    token: APIToken,
    issue: Issue,
    now: datetime,
    elsewhere: Elsewhere[delivery.Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expiry.scan(at=now)
    later = issue(user, at=now - 30 * DAY, expires_at=now + DAY, name="Second").token
    told = meanwhile(monkeypatch, elsewhere, delivery.deliver)
    expiry.scan(at=now)
    assert [outcome.total for outcome in told] == [0]
    assert delivery.deliver().sent == 1
    body = server.keeper.taken[0].message.get_body(("plain",))
    assert body is not None
    assert all(str(each.pk) in body.get_content() for each in (token, later))


def test_scan_adds_to_no_mail_that_a_sender_is_about_to_claim(
    token: APIToken,
    user: Membership,
    issue: Issue,
    now: datetime,
    elsewhere: Elsewhere[expiry.Scan],
) -> None:
    expiry.scan(at=now)
    issue(user, at=now - 30 * DAY, expires_at=now + DAY)
    with transaction.atomic():
        other = claims.Batch(timezone.now)
        assert claims.Batch.claim.__wrapped__(other)  # type: ignore[attr-defined]  # not committed
        assert elsewhere(lambda: expiry.scan(at=now)).mails == 1


def test_token_that_a_scan_tells_of_is_not_deleted_before_the_scan_has_ended(
    token: APIToken,
    user: Membership,
    now: datetime,
    elsewhere: Elsewhere[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def deletes() -> str:
        try:
            token_services.delete(token=token, by=Actor.member(user), at=now)
        except OperationalError:
            return "waits"
        return "deleted"

    told = meanwhile(monkeypatch, elsewhere, deletes)
    expiry.scan(at=now)
    assert told == ["waits"]


def test_scan_leaves_a_token_that_somebody_holds_to_the_next(
    token: APIToken,
    administrator: Membership,
    issue: Issue,
    now: datetime,
    elsewhere: Elsewhere[expiry.Scan],
) -> None:
    issue(administrator, at=now - 30 * DAY, expires_at=now + DAY)
    with transaction.atomic():
        APIToken.objects.select_for_update().get(pk=token.pk)
        assert elsewhere(lambda: expiry.scan(at=now)).tokens == 1
    assert expiry.scan(at=now).tokens == 1


def test_scan_does_not_wait_for_a_token_that_has_ended_either(
    token: APIToken,
    user: Membership,
    issue: Issue,
    now: datetime,
    elsewhere: Elsewhere[expiry.Scan],
) -> None:
    """While it holds others: who holds this one may wait for those."""
    ended = issue(user, at=now - 30 * DAY, expires_at=now - DAY).token
    with transaction.atomic():
        APIToken.objects.select_for_update().get(pk=ended.pk)
        assert elsewhere(lambda: expiry.scan(at=now)).tokens == 1
    expiry.scan(at=now)
    ended.refresh_from_db()
    assert ended.notice_due_at is None


def test_account_that_fails_is_told_of_by_no_scan_and_keeps_no_other_waiting(
    token: APIToken,
    stranger: Membership,
    issue: Issue,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issue(stranger, at=now - 30 * DAY, expires_at=now + DAY)
    tell = expiry._tell

    def fail_for_one(digests: list[expiry.NotificationDigest], *more: Any) -> None:
        if any(digest.member.account_id == token.account_id for digest in digests):
            raise ValueError("This one fails.")
        tell(digests, *more)

    monkeypatch.setattr(expiry, "_tell", fail_for_one)
    with pytest.raises(jobs.SomeFailed, match=r"^1 failed"):
        expiry.scan(at=now)
    assert {mail.user for mail in Mail.objects.all()} == {stranger.user}


def test_many_tokens_are_deleted_twice_at_once_in_whatever_order(
    user: Membership, issue: Issue, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins while the first has deleted one of two; it waits, and keeps nobody
    waiting meanwhile."""
    tokens = [issue(user).token for _number in range(2)]
    notify = token_notifications.notify_token_changed
    by = Actor.operator(through=EntryPoint.COMMAND)

    def delete_all(some: list[APIToken]) -> int:
        try:
            return token_services.delete_all(tokens=some, by=by, at=now)
        finally:
            if threading.current_thread() is not threading.main_thread():
                connection.close()

    with ThreadPoolExecutor(1) as other:
        second: list[Future[int]] = []

        def begin_second(*facts: Any, **more: Any) -> None:
            if not second:
                second.append(other.submit(delete_all, tokens[::-1]))
                while not (_somebody_waits() or second[0].done()):
                    pass
            notify(*facts, **more)

        monkeypatch.setattr(token_services, "notify_token_changed", begin_second)
        assert delete_all(tokens) == 2
        assert second[0].result(timeout=30) == 0


def test_many_tokens_are_locked_in_one_order(
    user: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins between two locks of the first. In another order each would wait for the
    other."""
    monkeypatch.setattr(rules, "LOCKED_AT_ONCE", 1)
    tokens = [issue(user).token for _number in range(2)]

    def lock_all(some: list[APIToken]) -> None:
        try:
            with transaction.atomic():
                rules.lock_tokens(some)
        finally:
            if threading.current_thread() is not threading.main_thread():
                connection.close()

    with ThreadPoolExecutor(1) as other:
        second: list[Future[None]] = []

        def begin_second(execute: Any, sql: str, *facts: Any) -> Any:
            locked = execute(sql, *facts)
            if "FOR NO KEY UPDATE" in sql and not second:
                second.append(other.submit(lock_all, tokens[::-1]))
                while not (_somebody_waits() or second[0].done()):
                    pass
            return locked

        with connection.execute_wrapper(begin_second):
            lock_all(tokens)
        second[0].result(timeout=30)


def test_sender_with_a_clock_ahead_sends_no_mail_that_another_has_in_hand(
    server: MailServer,
    mail: MakeMail,
    user: Membership,
    now: datetime,
    own_clock: None,
) -> None:
    mail(user)
    first = claims.Batch(jobs.database_now)
    assert first.claim()
    with time_machine.travel(now + 2 * claims.lease()):
        assert delivery.deliver().total == 0
    first.mark_handing_over(first.mails[0])
    with time_machine.travel(now + 2 * claims.lease()):
        assert delivery.deliver().in_doubt == 0


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
