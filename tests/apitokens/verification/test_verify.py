"""Telling whether a token is good, and to whom the reason is told when it is not."""

import traceback
from contextlib import ExitStack
from dataclasses import fields
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.views.debug import ExceptionReporter
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import Account, AuditEvent, Membership, User
from accounts.roles import Role
from apitokens import keys
from apitokens.cache.token_caches import TOKENS
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.usage.flusher import UsageFlusher, record_use
from apitokens.usage.store import Use
from apitokens.verification import token_lookup
from apitokens.verification import verify as verification
from apitokens.verification.authorization_header import verify_request
from apitokens.verification.refusals import (
    Insufficient,
    Refusal,
    Refused,
    Requirement,
    Verified,
)
from apitokens.verification.verify import verify, verify_from_cache
from tests.conftest import Issue
from tests.factories import MembershipFactory

pytestmark = [pytest.mark.both, pytest.mark.django_db]


def told(key: Key | str, at: datetime) -> Refusal:
    """The reason that the holder of this key is told."""
    with pytest.raises(Refused) as refused:
        verify(presented=key if isinstance(key, str) else key.spell(), at=at)
    return refused.value.code


def with_wrong_secret(key: Key) -> Key:
    return Key(key.id, "0" * 64)


@pytest.mark.parametrize("separator", ["$", "_"])
def test_good_token_is_accepted_in_both_spellings(
    engineer: Membership, issue: Issue, now: datetime, separator: keys.Separator
) -> None:
    token, key = issue(engineer, role=Role.USERS, expires_at=now + timedelta(days=1))
    assert verify(presented=key.spell(separator), at=now) == Verified(
        token_id=token.pk,
        account_id=engineer.account_id,
        membership_id=engineer.pk,
        user_id=engineer.user_id,
        email=engineer.user.email,
        role=Role.USERS,
        created_at=now,
        expires_at=now + timedelta(days=1),
    )


@pytest.mark.parametrize("token_role", Role)
@pytest.mark.parametrize("issuer_role", Role)
def test_token_may_do_no_more_than_its_issuer_at_present(
    administrator: Membership, issue: Issue, now: datetime, token_role: Role, issuer_role: Role
) -> None:
    _token, key = issue(administrator, role=token_role)
    Membership.objects.filter(pk=administrator.pk).update(role=issuer_role)
    weaker = max(token_role, issuer_role, key=lambda role: role.rank)
    assert verify(presented=key.spell(), at=now).role is weaker


@pytest.mark.parametrize("text", ["", "x", "5$", "5", "$", "9" * 5000, "1$" + "0" * 72, "\0", "é"])
def test_damaged_text_is_malformed_and_costs_no_query(
    now: datetime, text: str, django_assert_num_queries: object
) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert told(text, now) is Refusal.MALFORMED
    assert not queries.captured_queries


def test_id_that_arrives_alone_is_explained(now: datetime) -> None:
    with pytest.raises(Refused) as refused:
        verify(presented="771142358", at=now)
    assert "token_truncated" in str(refused.value.sentence)
    assert "single quotes" in str(refused.value.sentence)


def test_id_that_does_not_exist_is_unknown(db: None, now: datetime) -> None:
    assert told(keys.make(5), now) is Refusal.UNKNOWN


def test_wrong_secret_is_unknown(user: Membership, issue: Issue, now: datetime) -> None:
    assert told(with_wrong_secret(issue(user).key), now) is Refusal.UNKNOWN


def test_unknown_id_and_wrong_secret_are_told_alike(
    user: Membership, issue: Issue, now: datetime
) -> None:
    wrong, missing = with_wrong_secret(issue(user).key), keys.make(5)
    answers = []
    for key in (wrong, missing):
        with pytest.raises(Refused) as refused:
            verify(presented=key.spell(), at=now)
        answers.append((refused.value.args, refused.value.code, str(refused.value.sentence)))
    assert answers[0] == answers[1]


def test_unknown_id_costs_as_much_work_as_a_wrong_secret(
    user: Membership, issue: Issue, now: datetime
) -> None:
    costs = []
    for key in (with_wrong_secret(issue(user).key), keys.make(5)):
        with (
            CaptureQueriesContext(connection) as queries,
            patch("apitokens.keys.digest", wraps=keys.digest) as digest,
            patch("apitokens.keys.hmac.compare_digest", return_value=False) as compare,
            patch.object(token_lookup, "_aware", wraps=token_lookup._aware) as read,
        ):
            assert told(key, now) is Refusal.UNKNOWN
        costs.append((len(queries), digest.call_count, compare.call_count, read.call_count))
    assert costs[0] == costs[1]
    assert costs[0][:3] == (1, 4, 4)


def test_digest_of_nothing_but_zeros_is_no_way_in(db: None, now: datetime) -> None:
    """What a missing row is compared with cannot be met by a digest."""
    with patch("apitokens.keys.digest", return_value=bytes(32)):
        assert told(keys.make(5), now) is Refusal.UNKNOWN


def test_token_is_good_until_its_last_instant(
    user: Membership, issue: Issue, now: datetime
) -> None:
    ends = now + timedelta(days=1)
    _token, key = issue(user, expires_at=ends)
    assert verify(presented=key.spell(), at=ends - timedelta(microseconds=1))
    assert told(key, ends) is Refusal.EXPIRED


def test_deleted_token_stops_at_once(user: Membership, issue: Issue, now: datetime) -> None:
    token, key = issue(user)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    assert told(key, now) is Refusal.DELETED


def test_token_that_expired_and_was_deleted_is_told_deleted(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(user, expires_at=now + timedelta(days=1))
    later = now + timedelta(days=2)
    token_services.delete(token=token, by=Actor.member(user), at=later)
    assert told(key, later) is Refusal.DELETED


def test_digest_that_was_forgotten_makes_a_deleted_token_unknown(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(user)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    later = now + timedelta(days=90)
    token_services.forget_digests(by=Actor.operator(through=EntryPoint.SYSTEM), at=later)
    assert told(key, later) is Refusal.UNKNOWN


def test_token_of_a_deactivated_user_stops_at_once_and_works_again_when_restored(
    user: Membership, issue: Issue, now: datetime
) -> None:
    _token, key = issue(user)
    User.objects.filter(pk=user.user_id).update(is_active=False)
    assert told(key, now) is Refusal.ISSUER_INACTIVE
    User.objects.filter(pk=user.user_id).update(is_active=True)
    assert verify(presented=key.spell(), at=now)


def test_token_of_a_removed_member_stops_and_works_again_when_they_are_back(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    _token, key = issue(user)
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    assert told(key, now) is Refusal.ISSUER_INACTIVE
    members.add_member(
        account=user.account,
        user=user.user,
        role=Role.USERS,
        by=Actor.member(administrator),
        at=now,
    )
    assert verify(presented=key.spell(), at=now)


def test_tokens_of_a_closed_account_stop_and_work_again_when_it_reopens(
    user: Membership, issue: Issue, now: datetime
) -> None:
    _token, key = issue(user)
    Account.objects.filter(pk=user.account_id).update(closed_at=now)
    assert told(key, now) is Refusal.ISSUER_INACTIVE
    Account.objects.filter(pk=user.account_id).update(closed_at=None)
    assert verify(presented=key.spell(), at=now)


@pytest.mark.parametrize("ending", ["expired", "deleted", "inactive"])
def test_reason_is_told_only_to_who_holds_the_right_secret(
    user: Membership, issue: Issue, now: datetime, ending: str
) -> None:
    token, key = issue(user, expires_at=now + timedelta(days=1))
    later = now + timedelta(days=2 if ending == "expired" else 0)
    if ending == "deleted":
        token_services.delete(token=token, by=Actor.member(user), at=now)
    if ending == "inactive":
        User.objects.update(is_active=False)
    assert told(key, later) is not Refusal.UNKNOWN
    assert told(with_wrong_secret(key), later) is Refusal.UNKNOWN


def test_every_refusal_has_a_stable_code() -> None:
    assert [str(code) for code in Refusal] == [
        "missing",
        "malformed",
        "unknown",
        "expired",
        "deleted",
        "issuer_inactive",
        "rotated",
    ]


@pytest.mark.parametrize(
    "shown", [repr, str, lambda each: "".join(traceback.format_exception(each))]
)
def test_refusal_does_not_repeat_the_token(
    user: Membership, issue: Issue, now: datetime, shown: object
) -> None:
    assert callable(shown)
    token, key = issue(user)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    for presented in (key.spell(), key.spell()[:-1], with_wrong_secret(key).spell()):
        with pytest.raises(Refused) as refused:
            verify(presented=presented, at=now)
        assert key.secret[:16] not in shown(refused.value)


def test_report_of_an_unexpected_fault_does_not_repeat_the_token(
    user: Membership, issue: Issue, now: datetime
) -> None:
    text = issue(user).key.spell()
    for place in ("keys.checksum", "keys.hmac.compare_digest"):
        fault = patch(f"apitokens.{place}", side_effect=RuntimeError)
        with fault, pytest.raises(RuntimeError) as raised:
            verify(presented=text, at=now)
        report = ExceptionReporter(None, raised.type, raised.value, raised.tb.tb_next)
        told = report.get_traceback_html()
        assert "apitokens/keys.py" in told
        assert text.partition("$")[2][:32] not in told


def test_report_of_a_fault_within_a_request_does_not_repeat_the_token(
    user: Membership, issue: Issue, rf: RequestFactory
) -> None:
    text = issue(user).key.spell()
    request = rf.get("/", headers={"Authorization": f"APIKey {text}"})
    fault = patch("apitokens.keys.checksum", side_effect=RuntimeError)
    with fault, pytest.raises(RuntimeError) as raised:
        verify_request(request)
    report = ExceptionReporter(None, raised.type, raised.value, raised.traceback[1]._rawentry)
    told = report.get_traceback_html()
    assert "apitokens/verification/authorization_header.py" in told
    assert text.partition("$")[2][:32] not in told


# --- What is known again -----------------------------------------------------------------------


@pytest.fixture
def known(memory: None, user: Membership, issue: Issue, now: datetime) -> Key:
    """The key of a token that is in memory, and was recalled from there."""
    key = issue(user).key
    for _time in range(3):
        verify(presented=key.spell(), at=now)
    return key


def work(presented: Key | str, at: datetime, *steps: str) -> tuple[Refusal, list[int]]:
    """The reason of a refusal, and what it takes: how many queries, and how often each of these
    steps in `apitokens.keys`."""
    with ExitStack() as stack:
        queries = stack.enter_context(CaptureQueriesContext(connection))
        counted = [
            stack.enter_context(patch.object(keys, step, wraps=getattr(keys, step)))
            for step in steps
        ]
        reason = told(presented, at)
    return reason, [len(queries), *(each.call_count for each in counted)]


@pytest.mark.usefixtures("memory")
def test_text_that_was_compared_is_known_again(
    user: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(user).key
    wrong = with_wrong_secret(key)
    for _time in range(2):
        told(wrong, now)
        verify(presented=key.spell(), at=now)
    with patch("apitokens.keys.digest") as digest:
        for _time in range(3):
            verify(presented=key.spell(), at=now)
            assert told(wrong, now) is Refusal.UNKNOWN
    assert not digest.called


def test_wrong_secret_of_a_token_in_memory_costs_as_much_work_as_an_unknown_id(
    known: Key, now: datetime
) -> None:
    costs = [work(each, now, "digest") for each in (with_wrong_secret(known), keys.make(5))]
    assert costs[0] == costs[1]
    assert costs[0][0] is Refusal.UNKNOWN


def test_malformed_text_costs_the_same_whether_its_id_is_in_memory(
    known: Key, now: datetime
) -> None:
    texts = [f"{token_id}${'z' * 72}" for token_id in (known.id, known.id + 1)]
    costs = [work(text, now, "fingerprint", "read") for text in texts]
    assert costs[0] == costs[1]
    assert costs[0][0] is Refusal.MALFORMED


@pytest.mark.parametrize("token_id", [5, None], ids=["unknown id", "id in memory"])
def test_damaged_text_is_refused_again_for_the_same_reason_without_parsing(
    known: Key, now: datetime, token_id: int | None
) -> None:
    for text in (f"{token_id or known.id}${'z' * 72}", f"{token_id or known.id}$"):
        sentences = set()
        for _time in range(2):
            with pytest.raises(Refused) as refused:
                verify(presented=text, at=now)
            sentences.add((refused.value.code, refused.value.why, refused.value.sentence))
        assert len(sentences) == 1
        assert work(text, now, "read") == (Refusal.MALFORMED, [0, 0])


def test_few_damaged_texts_are_remembered(db: None, now: datetime) -> None:
    for number in range(verification.MOST_MALFORMED + 5):
        assert told(f"{number}$nonsense", now) is Refusal.MALFORMED
    assert len(verification._malformed_cache) == verification.MOST_MALFORMED


def test_damaged_text_is_refused_while_others_make_room_for_theirs(
    db: None, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shared(dict[bytes, str | None]):
        """Other threads take every text away right after somebody looked whether it is there."""

        def __contains__(self, fingerprint: object) -> bool:
            is_there = super().__contains__(fingerprint)
            self.clear()
            return is_there

    monkeypatch.setattr(verification, "_malformed_cache", Shared())
    for _time in range(3):
        assert told("1$nonsense", now) is Refusal.MALFORMED


@pytest.mark.parametrize("separator", ["$", "_"])
def test_known_text_makes_no_other_text_good(
    known: Key, now: datetime, separator: keys.Separator
) -> None:
    text = known.spell(separator)
    for _time in range(3):
        verify(presented=text, at=now)
    shifted = text[:-1] + ("0" if text[-1] != "0" else "1")
    for damaged in (shifted, text + " ", text[1:], f"0{text}", f"+{text}", text.upper(), text * 2):
        assert told(damaged, now) in (Refusal.MALFORMED, Refusal.UNKNOWN)
    assert told(with_wrong_secret(known), now) is Refusal.UNKNOWN
    assert verify(presented=text, at=now).token_id == known.id


@pytest.mark.parametrize("tail", ["\ud800" * 72, "é" * 72, "٣" * 72, "\0" * 72])
def test_odd_text_behind_a_known_id_is_malformed(known: Key, now: datetime, tail: str) -> None:
    for sign in ("$", "_", "%"):
        assert told(f"{known.id}{sign}{tail}", now) is Refusal.MALFORMED


@pytest.mark.usefixtures("memory")
def test_known_text_expires_and_is_deleted(user: Membership, issue: Issue, now: datetime) -> None:
    ends = now + timedelta(days=1)
    token, key = issue(user, expires_at=ends)
    for _time in range(3):
        verify(presented=key.spell(), at=now)
    assert told(key, ends) is Refusal.EXPIRED
    token_services.delete(token=token, by=Actor.member(user), at=now)
    TOKENS.forget(token.pk)
    assert told(key, now) is Refusal.DELETED


def test_memory_holds_no_secret(known: Key, now: datetime) -> None:
    told(with_wrong_secret(known), now)
    verify(presented=known.spell(), at=now)
    (held,) = (fact for _until, fact, *_mark in TOKENS._held.values())
    assert known.secret[:16] not in repr([getattr(held, each.name) for each in fields(held)])


def test_good_token_costs_one_query_but_for_the_minutes_first_use(
    user: Membership, issue: Issue, now: datetime
) -> None:
    _token, key = issue(user)
    verify(presented=key.spell(), at=now)
    with CaptureQueriesContext(connection) as queries:
        verify(presented=key.spell(), at=now)
    assert len(queries) == 1


def test_secrets_of_many_tokens_do_not_open_each_other(
    user: Membership, issue: Issue, now: datetime
) -> None:
    issued = [issue(user).key for _each in range(4)]
    for one in issued:
        for other in issued:
            if one != other:
                assert told(Key(one.id, other.secret), now) is Refusal.UNKNOWN


# --- What is remembered of refusals ------------------------------------------------------------


def refusals() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(kind="token.refused").order_by("at"))


@pytest.fixture
def dead(user: Membership, issue: Issue, now: datetime) -> Key:
    """The key of a deleted token."""
    token, key = issue(user)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    return key


def test_refusal_for_cause_leaves_an_event(dead: Key, user: Membership, now: datetime) -> None:
    with pytest.raises(Refused):
        verify(presented=dead.spell(), at=now, address="192.0.2.9")
    (event,) = refusals()
    assert (event.account, event.user, event.through_token, event.subject_id, event.address) == (
        user.account,
        None,
        dead.id,
        dead.id,
        "192.0.2.9",
    )
    assert event.details == {"code": "deleted"}


def test_busy_dead_client_leaves_one_event_an_hour(dead: Key, now: datetime) -> None:
    for minutes in (0, 1, 30, 59, 60, 61, 119):
        told(dead, now + timedelta(minutes=minutes))
    assert [event.at - now for event in refusals()] == [timedelta(0), timedelta(hours=1)]


def test_further_refusals_of_the_hour_take_no_write_lock(dead: Key, now: datetime) -> None:
    told(dead, now)
    with CaptureQueriesContext(connection) as queries:
        told(dead, now + timedelta(minutes=1))
    assert [query["sql"][:6] for query in queries.captured_queries] == ["SELECT"]


def test_wrong_guesses_leave_no_event(user: Membership, issue: Issue, now: datetime) -> None:
    told(with_wrong_secret(issue(user).key), now)
    told(keys.make(5), now)
    told("nonsense", now)
    assert not refusals()


def test_refused_token_is_not_counted_as_used(dead: Key, now: datetime) -> None:
    told(dead, now + timedelta(days=1))
    assert APIToken.objects.get(pk=dead.id).last_used_at is None


def test_event_of_a_refusal_that_cannot_be_written_does_not_let_the_token_in(
    dead: Key, now: datetime
) -> None:
    with patch("accounts.audit.recorder.record", side_effect=DatabaseError):
        assert told(dead, now) is Refusal.DELETED


# --- Last use ----------------------------------------------------------------------------------


def last_use(key: Key) -> tuple[datetime | None, str | None]:
    token = APIToken.objects.get(pk=key.id)
    return token.last_used_at, token.last_used_address


@pytest.fixture
def key(user: Membership, issue: Issue) -> Key:
    """The key of a good token that was never used."""
    return issue(user).key


@pytest.fixture
def noon(now: datetime) -> datetime:
    """The beginning of a minute."""
    return now.replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)


def test_token_that_was_never_used_says_so(key: Key) -> None:
    assert last_use(key) == (None, None)


def test_first_use_is_written_down_at_once(key: Key, noon: datetime) -> None:
    verify(presented=key.spell(), at=noon, address="192.0.2.1")
    assert last_use(key) == (noon, "192.0.2.1")


def test_use_by_an_ipv6_address_is_written_down(key: Key, noon: datetime) -> None:
    verify(presented=key.spell(), at=noon, address="2001:db8::1")
    assert last_use(key) == (noon, "2001:db8::1")


def test_further_uses_are_remembered_without_a_query(key: Key, noon: datetime) -> None:
    verify(presented=key.spell(), at=noon, address="192.0.2.1")
    with CaptureQueriesContext(connection) as queries:
        record_use(token_id=key.id, at=noon + timedelta(seconds=1), address="192.0.2.2")
    assert not queries.captured_queries


def test_refusal_is_counted_and_is_no_use(
    dead: Key, now: datetime, usage_flusher: UsageFlusher
) -> None:
    for _time in range(2):
        told(dead, now)
    assert usage_flusher.buffer.pop_all() == [Use(dead.id, None, now, now, 0, refused=2)]


@pytest.mark.usefixtures("memory")
def test_token_that_is_not_enough_is_counted_as_refused(
    user: Membership, issue: Issue, now: datetime, usage_flusher: UsageFlusher
) -> None:
    key = issue(user).key
    needed = Requirement(role=Role.ADMINISTRATORS)
    for check in (verify, verify, verify_from_cache):
        with pytest.raises(Insufficient):
            check(presented=key.spell(), at=now, requirement=needed)
        check(presented=key.spell(), at=now)
    uses = usage_flusher.buffer.pop_all()
    assert sum(use.refused for use in uses) == 3


def test_wrong_secret_is_counted_for_no_token(
    key: Key, now: datetime, usage_flusher: UsageFlusher
) -> None:
    """A person who knows an id alone must not be able to draw a chart."""
    for _time in range(2):
        told(with_wrong_secret(key), now)
    assert not usage_flusher.buffer.pop_all()


def test_use_that_cannot_be_written_down_does_not_fail_authentication(
    key: Key, noon: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    with patch("apitokens.usage.flusher.store_usage", side_effect=DatabaseError("full")):
        assert verify(presented=key.spell(), at=noon).token_id == key.id
    assert f"The use of API token {key.id}" in caplog.text
    assert key.secret not in caplog.text


# --- Peppers -----------------------------------------------------------------------------------


def test_old_pepper_is_accepted_and_the_token_digested_again_under_the_newest(
    key: Key, noon: datetime, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {7: b"n" * 32, **settings.TOKEN_PEPPERS}
    assert verify(presented=key.spell(), at=noon)
    token = APIToken.objects.get(pk=key.id)
    assert (token.pepper, bytes(token.digest or b"")) == (7, keys.digest(key, b"n" * 32))


def test_old_pepper_may_retire_after_every_token_was_used(
    key: Key, noon: datetime, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {7: b"n" * 32, **settings.TOKEN_PEPPERS}
    verify(presented=key.spell(), at=noon)
    settings.TOKEN_PEPPERS = {7: b"n" * 32}
    assert verify(presented=key.spell(), at=noon)


def test_token_whose_pepper_is_gone_is_refused_as_unknown(
    key: Key, noon: datetime, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {7: b"n" * 32}
    assert told(key, noon) is Refusal.UNKNOWN


def test_wrong_secret_is_never_digested_again(key: Key, noon: datetime, settings: Settings) -> None:
    settings.TOKEN_PEPPERS = {7: b"n" * 32, **settings.TOKEN_PEPPERS}
    assert told(with_wrong_secret(key), noon) is Refusal.UNKNOWN
    assert APIToken.objects.get(pk=key.id).pepper == 1


def test_token_deleted_meanwhile_is_not_digested_again(
    key: Key, user: Membership, noon: datetime, settings: Settings
) -> None:
    token_services.delete(token=APIToken.objects.get(pk=key.id), by=Actor.member(user), at=noon)
    settings.TOKEN_PEPPERS = {7: b"n" * 32, **settings.TOKEN_PEPPERS}
    assert told(key, noon) is Refusal.DELETED
    assert APIToken.objects.get(pk=key.id).pepper == 1


def test_digest_that_cannot_be_renewed_does_not_fail_authentication(
    key: Key, noon: datetime, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {7: b"n" * 32, **settings.TOKEN_PEPPERS}
    with patch("apitokens.models.APITokenQuerySet.update", side_effect=DatabaseError("full")):
        assert verify(presented=key.spell(), at=noon).token_id == key.id


def test_member_of_two_accounts_has_tokens_that_act_in_their_own_account(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    elsewhere = MembershipFactory.create(user=engineer.user, role=Role.USERS)
    assert verify(presented=issue(engineer).key.spell(), at=now).account_id == engineer.account_id
    assert verify(presented=issue(elsewhere).key.spell(), at=now).account_id == elsewhere.account_id
