"""The rule about API tokens of people who stay away from their account's identity provider."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import suspension
from accounts.models import Account, AuditEvent, Membership, User
from accounts.roles import Role
from apitokens.verification.refusals import Refusal, Refused
from apitokens.verification.verify import verify
from notifications.models import Mail, Notice
from sso import tasks
from sso.connections import services as connections
from sso.inactivity import services as inactivity
from sso.models import AbsenceNotice, Connection, IdleAction
from tests.conftest import Issue
from tests.factories import ConnectionFactory, MembershipFactory, acting
from tests.outbox import newest_mail_to

pytestmark = [pytest.mark.django_db, pytest.mark.both]

SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)
DAYS = 30
LONG_AGO = timedelta(days=100)
Choose = Callable[..., bool]


@pytest.fixture
def connection(account: Account) -> Connection:
    return ConnectionFactory.create(account=account, name="Okta")


@pytest.fixture
def away(user: Membership, now: datetime, issue: Issue) -> Membership:
    """Somebody with an API token who came through the provider the last time 31 days ago."""
    user.sso_at = now - timedelta(days=DAYS + 1)
    user.save()
    issue(user)
    return user


@pytest.fixture
def choose(connection: Connection, administrator: Membership, now: datetime) -> Choose:
    """`choose(action, days=30, at=…)`: as the Administrator; a hundred days ago unless told."""

    def act(action: IdleAction, days: int = DAYS, at: datetime | None = None) -> bool:
        return inactivity.choose_policy(
            connection=connection,
            action=action,
            days=days,
            by=Actor.member(administrator),
            at=at or now - LONG_AGO,
        )

    return act


def enforce(at: datetime) -> int:
    return inactivity.enforce(by=SYSTEM, at=at)


def is_suspended(member: Membership) -> bool:
    return Membership.objects.get(pk=member.pk).has_suspended_tokens


def titles(member: Membership) -> list[str]:
    return list(Notice.objects.filter(user=member.user).values_list("title", flat=True))


# --- The rule ----------------------------------------------------------------------------------


def test_without_a_rule_nothing_happens(
    connection: Connection, away: Membership, now: datetime
) -> None:
    assert connection.idle_action == IdleAction.NOTHING
    assert enforce(now) == 0
    assert not is_suspended(away)
    assert not Notice.objects.exists()


def test_who_stays_away_longer_than_allowed_has_suspended_tokens(
    choose: Choose, away: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(away).key
    choose(IdleAction.SUSPEND)
    assert enforce(now) == 1
    with pytest.raises(Refused) as refused:
        verify(presented=key.spell(), at=now)
    assert refused.value.code is Refusal.ISSUER_INACTIVE


def test_it_applies_from_the_instant_on_and_not_before(
    choose: Choose, away: Membership, now: datetime
) -> None:
    choose(IdleAction.SUSPEND)
    assert away.sso_at is not None
    due = away.sso_at + timedelta(days=DAYS)
    assert enforce(due - timedelta(microseconds=1)) == 0
    assert enforce(due) == 1


def test_days_before_the_rule_was_chosen_do_not_count(
    choose: Choose, away: Membership, now: datetime
) -> None:
    choose(IdleAction.SUSPEND, at=now)
    assert enforce(now) == 0
    assert enforce(now + timedelta(days=DAYS)) == 1


def test_who_has_come_lately_is_left_alone(choose: Choose, away: Membership, now: datetime) -> None:
    choose(IdleAction.SUSPEND)
    suspension.record_sso_sign_in(membership=away, by=Actor.member(away), at=now)
    assert enforce(now + timedelta(days=DAYS - 1)) == 0
    assert enforce(now + timedelta(days=DAYS)) == 1


def test_who_never_came_through_the_provider_is_left_alone(
    choose: Choose, engineer: Membership, issue: Issue, now: datetime
) -> None:
    issue(engineer)
    choose(IdleAction.SUSPEND)
    assert enforce(now) == 0


def test_who_has_no_active_tokens_is_left_alone(
    choose: Choose, engineer: Membership, now: datetime
) -> None:
    engineer.sso_at = now - LONG_AGO
    engineer.save()
    choose(IdleAction.SUSPEND)
    assert enforce(now) == 0


def test_people_of_other_accounts_are_left_alone(
    choose: Choose, stranger: Membership, issue: Issue, now: datetime
) -> None:
    issue(stranger)
    stranger.sso_at = now - LONG_AGO
    stranger.save()
    ConnectionFactory.create(account=stranger.account)
    choose(IdleAction.SUSPEND)
    assert enforce(now) == 0
    assert not is_suspended(stranger)


def test_nobody_is_away_while_single_sign_on_is_off(
    choose: Choose,
    connection: Connection,
    away: Membership,
    administrator: Membership,
    now: datetime,
) -> None:
    choose(IdleAction.SUSPEND)
    Connection.objects.filter(pk=connection.pk).update(is_on=False)
    assert enforce(now) == 0


def test_days_in_which_it_was_off_are_nobody_s_absence(
    choose: Choose,
    connection: Connection,
    away: Membership,
    administrator: Membership,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "obstacles_to_switching_on", lambda *_facts: [])
    by = Actor.member(administrator)
    choose(IdleAction.SUSPEND)
    connections.switch_off(connection=connection, by=by, at=now - timedelta(days=50))
    connections.switch_on(connection=connection, by=by, at=now)
    assert enforce(now) == 0
    assert enforce(now + timedelta(days=DAYS)) == 1


def test_closed_accounts_are_left_alone(
    choose: Choose, away: Membership, account: Account, now: datetime
) -> None:
    choose(IdleAction.SUSPEND)
    Account.objects.filter(pk=account.pk).update(closed_at=now)
    assert enforce(now) == 0


def test_second_run_is_dull(choose: Choose, away: Membership, now: datetime) -> None:
    choose(IdleAction.SUSPEND)
    enforce(now)
    before = AuditEvent.objects.count(), Notice.objects.count()
    assert enforce(now) == 0
    assert (AuditEvent.objects.count(), Notice.objects.count()) == before


def test_worker_runs_the_rule(choose: Choose, away: Membership) -> None:
    choose(IdleAction.SUSPEND)
    assert tasks.watch_absences() == 1
    assert is_suspended(away)


# --- Telling -----------------------------------------------------------------------------------


def test_administrators_are_told_once_and_the_tokens_go_on(
    choose: Choose, away: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(away).key
    choose(IdleAction.NOTIFY)
    assert (enforce(now), enforce(now + timedelta(days=1))) == (1, 0)
    assert titles(administrator) == [f"{away.user.name} stays away, with active API tokens"]
    assert titles(away) == []
    assert verify(presented=key.spell(), at=now)


@pytest.mark.parametrize("language", ["de", "ru", "zh", "az"])
def test_one_person_is_named_in_every_language(
    choose: Choose, away: Membership, administrator: Membership, now: datetime, language: str
) -> None:
    User.objects.filter(pk=administrator.user_id).update(language=language)
    choose(IdleAction.NOTIFY)
    enforce(now)
    (title,) = titles(administrator)
    assert away.user.name in title


def test_another_absence_is_told_again(
    choose: Choose, away: Membership, administrator: Membership, now: datetime
) -> None:
    choose(IdleAction.NOTIFY)
    enforce(now)
    suspension.record_sso_sign_in(
        membership=away, by=Actor.member(away), at=now + timedelta(days=1)
    )
    later = now + timedelta(days=DAYS + 1)
    assert (enforce(later), enforce(later)) == (1, 0)
    assert len(titles(administrator)) == 2
    assert AbsenceNotice.objects.count() == 1


def test_several_people_are_one_notice(
    choose: Choose, away: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    for _number in range(12):
        other = MembershipFactory.create(account=away.account, sso_at=away.sso_at, role=Role.USERS)
        issue(other)
    choose(IdleAction.NOTIFY)
    assert enforce(now) == 13
    notice = Notice.objects.get(user=administrator.user)
    assert notice.title == "13 people stay away, with active API tokens"
    assert "(1) and 3 more." in notice.text
    assert "for 30 days" in notice.text


def test_mail_names_the_people_the_provider_and_the_way(
    choose: Choose, away: Membership, administrator: Membership, now: datetime
) -> None:
    choose(IdleAction.NOTIFY)
    enforce(now)
    letter = newest_mail_to(administrator.user.email)
    assert "Not signed in through Okta for 30 days" in letter.text
    assert f"{away.user.name} (1)" in letter.text
    assert "signs_in_by%3Dsso" in letter.text


def test_who_is_no_administrator_is_told_of_nobody(
    choose: Choose, away: Membership, engineer: Membership, stranger: Membership, now: datetime
) -> None:
    choose(IdleAction.NOTIFY)
    enforce(now)
    assert titles(engineer) == titles(stranger) == []
    assert Mail.objects.count() == 1


def test_both_hear_of_a_suspension_and_what_lifts_it(
    choose: Choose, away: Membership, administrator: Membership, now: datetime
) -> None:
    choose(IdleAction.SUSPEND)
    enforce(now)
    assert titles(administrator) == [f"The API tokens of {away.user.name} are suspended"]
    assert titles(away) == ["Your API tokens are suspended"]
    letter = newest_mail_to(away.user.email)
    assert "You have not signed in through Okta for 30 days." in letter.text
    assert "Sign in there once" in letter.text


# --- Choosing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [IdleAction.NOTHING, IdleAction.NOTIFY])
def test_another_rule_lets_suspended_tokens_work_again(
    choose: Choose, away: Membership, now: datetime, action: IdleAction
) -> None:
    choose(IdleAction.SUSPEND)
    enforce(now)
    choose(action, at=now)
    assert not is_suspended(away)


def test_other_days_leave_suspensions_and_the_count_alone(
    choose: Choose, connection: Connection, away: Membership, now: datetime
) -> None:
    choose(IdleAction.SUSPEND)
    enforce(now)
    choose(IdleAction.SUSPEND, 60, at=now)
    assert is_suspended(away)
    connection.refresh_from_db()
    assert (connection.idle_days, connection.idle_action_since) == (60, now - LONG_AGO)


def test_removing_the_provider_lets_suspended_tokens_work_again(
    choose: Choose,
    connection: Connection,
    away: Membership,
    administrator: Membership,
    now: datetime,
) -> None:
    by = Actor.member(administrator)
    choose(IdleAction.SUSPEND)
    enforce(now)
    connections.switch_off(connection=connection, by=by, at=now)
    assert is_suspended(away)
    connections.remove(connection=connection, by=by, at=now)
    assert not is_suspended(away)


def test_choice_is_in_the_log_with_what_was_before(choose: Choose) -> None:
    assert choose(IdleAction.NOTIFY)
    assert choose(IdleAction.SUSPEND, 14)
    first, second = AuditEvent.objects.filter(kind="sso.idle_policy_changed").order_by("pk")
    assert (first.details["before"], first.details["after"]) == ("nothing", "notify (30)")
    assert (second.details["before"], second.details["after"]) == ("notify (30)", "suspend (14)")


def test_same_choice_is_dull(choose: Choose, connection: Connection, now: datetime) -> None:
    choose(IdleAction.SUSPEND)
    assert not choose(IdleAction.SUSPEND, at=now)
    connection.refresh_from_db()
    assert connection.idle_action_since == now - LONG_AGO
    assert AuditEvent.objects.count() == 1


@pytest.mark.parametrize("days", [0, 366])
def test_days_have_bounds(choose: Choose, connection: Connection, days: int) -> None:
    with pytest.raises(ValidationError) as refused:
        choose(IdleAction.SUSPEND, days)
    assert set(refused.value.error_dict) == {"idle_days"}
    connection.refresh_from_db()
    assert connection.idle_action == IdleAction.NOTHING


@pytest.mark.parametrize("who", ["engineer", "stranger"])
def test_nobody_but_administrators_of_the_account_chooses(
    connection: Connection, now: datetime, who: str, request: pytest.FixtureRequest
) -> None:
    member: Membership = request.getfixturevalue(who)
    with pytest.raises(PermissionDenied):
        inactivity.choose_policy(
            connection=connection,
            action=IdleAction.SUSPEND,
            days=DAYS,
            by=Actor.member(member),
            at=now,
        )


def test_administrators_token_does_not_choose(
    connection: Connection, administrator: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied):
        inactivity.choose_policy(
            connection=connection,
            action=IdleAction.SUSPEND,
            days=DAYS,
            by=acting(administrator, Role.ADMINISTRATORS, at=now),
            at=now,
        )
