"""The inactivity policy about API tokens."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import suspension
from accounts.models import Account, AuditEvent, Membership, User
from accounts.roles import Role
from apitokens.verification.refusals import Refusal, Refused
from apitokens.verification.verify import verify
from notifications import jobs
from notifications.models import Mail, Notice
from sso import tasks
from sso.connections import services as connections
from sso.inactivity import services as inactivity
from sso.models import AbsenceNotice, Connection, InactivityAction
from tests.conftest import Issue
from tests.factories import ConnectionFactory, MembershipFactory, acting
from tests.outbox import mail_to

pytestmark = [pytest.mark.django_db, pytest.mark.both]

SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)
DAYS = 30
LONG_AGO = timedelta(days=100)
ChoosePolicy = Callable[..., bool]


@pytest.fixture
def connection(account: Account) -> Connection:
    return ConnectionFactory.create(account=account, name="Okta")


@pytest.fixture
def inactive(user: Membership, now: datetime, issue: Issue) -> Membership:
    """A member with an API token whose last login by SSO was 31 days ago."""
    user.sso_at = now - timedelta(days=DAYS + 1)
    user.save()
    issue(user)
    return user


@pytest.fixture
def choose_policy(connection: Connection, administrator: Membership, now: datetime) -> ChoosePolicy:
    """`choose_policy(action, days=30, at=…)`: as the Administrator; by default 100 days ago."""

    def act(action: InactivityAction, days: int = DAYS, at: datetime | None = None) -> bool:
        return inactivity.choose_policy(
            connection=connection,
            action=action,
            days=days,
            by=Actor.member(administrator),
            at=at or now - LONG_AGO,
        )

    return act


def enforce(at: datetime) -> int:
    return inactivity.enforce_policies(by=SYSTEM, at=at)


def test_account_that_fails_holds_up_no_other(
    inactive: Membership,
    choose_policy: ChoosePolicy,
    issue: Issue,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The one with the lowest number fails, and the job tells so when the other is done."""
    choose_policy(InactivityAction.SUSPEND)
    other = MembershipFactory.create(account__pk=2**31 - 7, sso_at=now - LONG_AGO)
    issue(other)
    ConnectionFactory.create(
        account=other.account,
        idle_action=InactivityAction.SUSPEND,
        idle_action_since=now - LONG_AGO,
    )
    suspend = suspension.suspend_tokens

    def fail_for_one(*, membership: Membership, by: Actor, at: datetime) -> bool:
        if membership == inactive:
            raise ValueError("This one fails.")
        return suspend(membership=membership, by=by, at=at)

    monkeypatch.setattr(suspension, "suspend_tokens", fail_for_one)
    with pytest.raises(jobs.SomeFailed, match=r"^1 failed"):
        enforce(now)
    assert (is_suspended(inactive), is_suspended(other)) == (False, True)
    assert "This one fails." in caplog.text


def is_suspended(member: Membership) -> bool:
    return Membership.objects.get(pk=member.pk).has_suspended_tokens


def titles(member: Membership) -> list[str]:
    return list(Notice.objects.filter(user=member.user).values_list("title", flat=True))


# --- Enforcement ----------------------------------------------------------------------------------


def test_without_a_policy_nothing_happens(
    connection: Connection, inactive: Membership, now: datetime
) -> None:
    assert connection.idle_action == InactivityAction.NOTHING
    assert enforce(now) == 0
    assert not is_suspended(inactive)
    assert not Notice.objects.exists()


def test_tokens_of_inactive_members_are_suspended(
    choose_policy: ChoosePolicy, inactive: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(inactive).key
    choose_policy(InactivityAction.SUSPEND)
    assert enforce(now) == 1
    with pytest.raises(Refused) as refused:
        verify(presented=key.spell(), at=now)
    assert refused.value.code is Refusal.ISSUER_INACTIVE


def test_policy_applies_from_the_instant_on_and_not_before(
    choose_policy: ChoosePolicy, inactive: Membership, now: datetime
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    assert inactive.sso_at is not None
    due = inactive.sso_at + timedelta(days=DAYS)
    assert enforce(due - timedelta(microseconds=1)) == 0
    assert enforce(due) == 1


def test_days_before_the_policy_was_chosen_do_not_count(
    choose_policy: ChoosePolicy, inactive: Membership, now: datetime
) -> None:
    choose_policy(InactivityAction.SUSPEND, at=now)
    assert enforce(now) == 0
    assert enforce(now + timedelta(days=DAYS)) == 1


def test_recently_active_member_is_left_alone(
    choose_policy: ChoosePolicy, inactive: Membership, now: datetime
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    suspension.record_sso_sign_in(membership=inactive, by=Actor.member(inactive), at=now)
    assert enforce(now + timedelta(days=DAYS - 1)) == 0
    assert enforce(now + timedelta(days=DAYS)) == 1


def test_member_who_never_used_sso_is_left_alone(
    choose_policy: ChoosePolicy, engineer: Membership, issue: Issue, now: datetime
) -> None:
    issue(engineer)
    choose_policy(InactivityAction.SUSPEND)
    assert enforce(now) == 0


def test_member_without_active_tokens_is_left_alone(
    choose_policy: ChoosePolicy, engineer: Membership, now: datetime
) -> None:
    engineer.sso_at = now - LONG_AGO
    engineer.save()
    choose_policy(InactivityAction.SUSPEND)
    assert enforce(now) == 0


def test_people_of_other_accounts_are_left_alone(
    choose_policy: ChoosePolicy, stranger: Membership, issue: Issue, now: datetime
) -> None:
    issue(stranger)
    stranger.sso_at = now - LONG_AGO
    stranger.save()
    ConnectionFactory.create(account=stranger.account)
    choose_policy(InactivityAction.SUSPEND)
    assert enforce(now) == 0
    assert not is_suspended(stranger)


def test_nobody_is_inactive_while_single_sign_on_is_off(
    choose_policy: ChoosePolicy,
    connection: Connection,
    inactive: Membership,
    administrator: Membership,
    now: datetime,
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    Connection.objects.filter(pk=connection.pk).update(is_on=False)
    assert enforce(now) == 0


def test_days_while_it_was_off_do_not_count(
    choose_policy: ChoosePolicy,
    connection: Connection,
    inactive: Membership,
    administrator: Membership,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "obstacles_to_switching_on", lambda *_facts: [])
    by = Actor.member(administrator)
    choose_policy(InactivityAction.SUSPEND)
    connections.switch_off(connection=connection, by=by, at=now - timedelta(days=50))
    connections.switch_on(connection=connection, by=by, at=now)
    assert enforce(now) == 0
    assert enforce(now + timedelta(days=DAYS)) == 1


def test_closed_accounts_are_left_alone(
    choose_policy: ChoosePolicy, inactive: Membership, account: Account, now: datetime
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    Account.objects.filter(pk=account.pk).update(closed_at=now)
    assert enforce(now) == 0


def test_enforcement_is_idempotent(
    choose_policy: ChoosePolicy, inactive: Membership, now: datetime
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    enforce(now)
    before = AuditEvent.objects.count(), Notice.objects.count()
    assert enforce(now) == 0
    assert (AuditEvent.objects.count(), Notice.objects.count()) == before


@pytest.mark.parametrize("action", [InactivityAction.NOTHING, InactivityAction.NOTIFY])
def test_administrator_does_not_resume_their_own_tokens_by_ending_the_policy(
    connection: Connection,
    inactive: Membership,
    choose_policy: ChoosePolicy,
    action: InactivityAction,
    now: datetime,
) -> None:
    Membership.objects.filter(pk=inactive.pk).update(role=Role.ADMINISTRATORS)
    choose_policy(InactivityAction.SUSPEND)
    enforce(now)

    with pytest.raises(ValidationError, match="Sign in through single sign-on"):
        inactivity.choose_policy(
            connection=connection, action=action, days=DAYS, by=Actor.member(inactive), at=now
        )

    assert is_suspended(inactive)
    connection.refresh_from_db()
    assert connection.idle_action == InactivityAction.SUSPEND
    choose_policy(action, at=now)  # another Administrator does
    assert not is_suspended(inactive)


def test_administrator_does_not_resume_their_own_tokens_by_removing_the_connection(
    connection: Connection,
    inactive: Membership,
    administrator: Membership,
    choose_policy: ChoosePolicy,
    now: datetime,
) -> None:
    Membership.objects.filter(pk=inactive.pk).update(role=Role.ADMINISTRATORS)
    choose_policy(InactivityAction.SUSPEND)
    enforce(now)
    connections.switch_off(connection=connection, by=Actor.member(inactive), at=now)

    with pytest.raises(ValidationError, match="Sign in through single sign-on"):
        connections.remove(connection=connection, by=Actor.member(inactive), at=now)

    assert is_suspended(inactive)
    connections.remove(connection=connection, by=Actor.member(administrator), at=now)
    assert not is_suspended(inactive)


@pytest.mark.parametrize("ended", ["closed", "deactivated", "removed"])
def test_administrator_who_is_none_any_more_does_not_end_the_policy(
    connection: Connection,
    administrator: Membership,
    choose_policy: ChoosePolicy,
    ended: str,
    now: datetime,
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    match ended:
        case "closed":
            Account.objects.filter(pk=connection.account_id).update(closed_at=now)
        case "deactivated":
            User.objects.filter(pk=administrator.user_id).update(is_active=False)
        case "removed":
            Membership.objects.filter(pk=administrator.pk).update(removed_at=now)

    with pytest.raises(PermissionDenied):
        choose_policy(InactivityAction.NOTHING, at=now)


def test_task_enforces_the_policy(choose_policy: ChoosePolicy, inactive: Membership) -> None:
    choose_policy(InactivityAction.SUSPEND)
    assert tasks.enforce_inactivity_policies() == 1
    assert is_suspended(inactive)


# --- Notifications
# -----------------------------------------------------------------------------------


def test_administrators_are_notified_once_and_tokens_stay_active(
    choose_policy: ChoosePolicy,
    inactive: Membership,
    administrator: Membership,
    issue: Issue,
    now: datetime,
) -> None:
    key = issue(inactive).key
    choose_policy(InactivityAction.NOTIFY)
    assert (enforce(now), enforce(now + timedelta(days=1))) == (1, 0)
    assert titles(administrator) == [
        f"“{inactive.user.name}” no longer signs in but has active API tokens"
    ]
    assert titles(inactive) == []
    assert verify(presented=key.spell(), at=now)


@pytest.mark.parametrize("language", ["de", "ru", "zh", "az"])
def test_one_person_is_named_in_every_language(
    choose_policy: ChoosePolicy,
    inactive: Membership,
    administrator: Membership,
    now: datetime,
    language: str,
) -> None:
    User.objects.filter(pk=administrator.user_id).update(language=language)
    choose_policy(InactivityAction.NOTIFY)
    enforce(now)
    (title,) = titles(administrator)
    assert inactive.user.name in title


def test_next_inactivity_is_notified_again(
    choose_policy: ChoosePolicy, inactive: Membership, administrator: Membership, now: datetime
) -> None:
    choose_policy(InactivityAction.NOTIFY)
    enforce(now)
    suspension.record_sso_sign_in(
        membership=inactive, by=Actor.member(inactive), at=now + timedelta(days=1)
    )
    later = now + timedelta(days=DAYS + 1)
    assert (enforce(later), enforce(later)) == (1, 0)
    assert len(titles(administrator)) == 2
    assert AbsenceNotice.objects.count() == 1


def test_several_people_are_one_notice(
    choose_policy: ChoosePolicy,
    inactive: Membership,
    administrator: Membership,
    issue: Issue,
    now: datetime,
) -> None:
    for _number in range(12):
        other = MembershipFactory.create(
            account=inactive.account, sso_at=inactive.sso_at, role=Role.USERS
        )
        issue(other)
    choose_policy(InactivityAction.NOTIFY)
    assert enforce(now) == 13
    notice = Notice.objects.get(user=administrator.user)
    assert notice.title == "13 people no longer sign in but have active API tokens"
    assert "(1 API token) and 3 more." in notice.text
    assert "for 30 days" in notice.text


def test_mail_names_the_people_the_provider_and_the_way(
    choose_policy: ChoosePolicy, inactive: Membership, administrator: Membership, now: datetime
) -> None:
    choose_policy(InactivityAction.NOTIFY)
    enforce(now)
    mail = mail_to(administrator.user.email)
    assert "No sign-in through “Okta” for 30 days or more" in mail.text
    assert f"“{inactive.user.name}” (1 API token)" in mail.text
    assert "?signs_in_by=sso&status=unended" in mail.text


def test_other_roles_are_not_notified(
    choose_policy: ChoosePolicy,
    inactive: Membership,
    engineer: Membership,
    stranger: Membership,
    now: datetime,
) -> None:
    choose_policy(InactivityAction.NOTIFY)
    enforce(now)
    assert titles(engineer) == titles(stranger) == []
    assert Mail.objects.count() == 1


def test_member_and_administrators_are_notified_of_a_suspension(
    choose_policy: ChoosePolicy, inactive: Membership, administrator: Membership, now: datetime
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    enforce(now)
    assert titles(administrator) == [f"The API tokens of “{inactive.user.name}” are suspended"]
    assert titles(inactive) == ["Your API tokens are suspended"]
    mail = mail_to(inactive.user.email)
    assert "You haven't signed in through “Okta” for 30 days." in mail.text
    assert "Sign in there once" in mail.text


# --- Choosing the policy
# ----------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [InactivityAction.NOTHING, InactivityAction.NOTIFY])
def test_another_action_resumes_suspended_tokens(
    choose_policy: ChoosePolicy, inactive: Membership, now: datetime, action: InactivityAction
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    enforce(now)
    choose_policy(action, at=now)
    assert not is_suspended(inactive)


def test_other_days_leave_suspensions_and_the_count_alone(
    choose_policy: ChoosePolicy, connection: Connection, inactive: Membership, now: datetime
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    enforce(now)
    choose_policy(InactivityAction.SUSPEND, 60, at=now)
    assert is_suspended(inactive)
    connection.refresh_from_db()
    assert (connection.idle_days, connection.idle_action_since) == (60, now - LONG_AGO)


def test_removing_the_provider_resumes_suspended_tokens(
    choose_policy: ChoosePolicy,
    connection: Connection,
    inactive: Membership,
    administrator: Membership,
    now: datetime,
) -> None:
    by = Actor.member(administrator)
    choose_policy(InactivityAction.SUSPEND)
    enforce(now)
    connections.switch_off(connection=connection, by=by, at=now)
    assert is_suspended(inactive)
    connections.remove(connection=connection, by=by, at=now)
    assert not is_suspended(inactive)


def test_choice_is_audited_with_the_previous_policy(choose_policy: ChoosePolicy) -> None:
    assert choose_policy(InactivityAction.NOTIFY)
    assert choose_policy(InactivityAction.SUSPEND, 14)
    first, second = AuditEvent.objects.filter(kind="sso.idle_policy_changed").order_by("pk")
    assert (first.details["before"], first.details["after"]) == ("nothing", "notify (30)")
    assert (second.details["before"], second.details["after"]) == ("notify (30)", "suspend (14)")


def test_choosing_a_policy_is_idempotent(
    choose_policy: ChoosePolicy, connection: Connection, now: datetime
) -> None:
    choose_policy(InactivityAction.SUSPEND)
    assert not choose_policy(InactivityAction.SUSPEND, at=now)
    connection.refresh_from_db()
    assert connection.idle_action_since == now - LONG_AGO
    assert AuditEvent.objects.count() == 1


@pytest.mark.parametrize("days", [0, 366])
def test_days_have_bounds(choose_policy: ChoosePolicy, connection: Connection, days: int) -> None:
    with pytest.raises(ValidationError) as refused:
        choose_policy(InactivityAction.SUSPEND, days)
    assert set(refused.value.error_dict) == {"idle_days"}
    connection.refresh_from_db()
    assert connection.idle_action == InactivityAction.NOTHING


@pytest.mark.parametrize("who", ["engineer", "stranger"])
def test_nobody_but_administrators_of_the_account_chooses(
    connection: Connection, now: datetime, who: str, request: pytest.FixtureRequest
) -> None:
    member: Membership = request.getfixturevalue(who)
    with pytest.raises(PermissionDenied):
        inactivity.choose_policy(
            connection=connection,
            action=InactivityAction.SUSPEND,
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
            action=InactivityAction.SUSPEND,
            days=DAYS,
            by=acting(administrator, Role.ADMINISTRATORS, at=now),
            at=now,
        )


def test_accounts_in_which_nobody_is_inactive_cost_no_query_of_their_own(
    django_assert_max_num_queries: Any, now: datetime
) -> None:
    for _account in range(6):
        connection = ConnectionFactory.create(
            idle_action="suspend", idle_days=30, idle_action_since=now - timedelta(days=90)
        )
        MembershipFactory.create(account=connection.account, sso_at=now - timedelta(days=1))

    with django_assert_max_num_queries(4):
        assert inactivity.enforce_policies(by=SYSTEM, at=now) == 0
