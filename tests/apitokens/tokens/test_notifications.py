"""People are notified when another person creates or deletes a token in their name."""

from datetime import datetime

import pytest
from django.core.mail import EmailMessage

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import Membership
from accounts.roles import Role
from apitokens.tokens import services as token_services
from notifications.email import delivery
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS, TOKEN_CHANGED_IN_ACCOUNT, Channel
from notifications.models import Mail, Notice, State
from notifications.preferences import services as preferences
from notifications.recipients import Person
from tests.conftest import Issue
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


def inbox_of(member: Membership) -> list[str]:
    return [
        notice.title
        for notice in Notice.objects.to(user_id=member.user_id, account_id=member.account_id)
    ]


def test_an_issuer_hears_that_an_administrator_deleted_their_token(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user, name="Backup").token
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    who = administrator.user.get_full_name()
    assert inbox_of(user) == [f"“{who}” deleted your API token “Backup”"]
    assert inbox_of(administrator) == []


def test_an_issuer_hears_that_an_operator_created_a_token_in_their_name(
    user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, name="Backup", by=OPERATOR)
    words = "An operator of the portal created the API token “Backup” in your name"
    assert inbox_of(user) == [words]


def test_a_long_name_does_not_hide_what_happened(user: Membership, issue: Issue) -> None:
    issue(user, name="B" * 255, by=OPERATOR)
    (title,) = inbox_of(user)
    assert title.startswith("An operator of the portal created the API token “BBB")
    assert title.endswith("B…” in your name")


def test_nobody_but_the_issuer_hears_of_it(
    user: Membership, administrator: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    other = MembershipFactory.create(account=administrator.account, role=Role.ADMINISTRATORS)
    token = issue(user, by=OPERATOR).token
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    assert len(inbox_of(user)) == 2
    assert [inbox_of(each) for each in (other, administrator, engineer)] == [[], [], []]


@pytest.fixture
def watcher(administrator: Membership) -> Membership:
    """Another Administrator of the account, who wants to hear of every token."""
    member = MembershipFactory.create(account=administrator.account, role=Role.ADMINISTRATORS)
    person = Person(member.user_id, member.account_id)
    chosen = preferences.settings_of(person)
    wanted = {(TOKEN_CHANGED_IN_ACCOUNT.code, channel): True for channel in Channel}
    preferences.choose(person, chosen._replace(is_on=chosen.is_on | wanted))
    return member


def test_administrators_who_want_it_hear_of_every_token(
    watcher: Membership, administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user, name="Backup").token
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    issuer, deleter = user.user.get_full_name(), administrator.user.get_full_name()
    assert sorted(inbox_of(watcher)) == sorted(
        [
            f"“{issuer}” created the API token “Backup”",
            f"“{deleter}” deleted the API token “Backup”",
        ]
    )
    assert Notice.objects.filter(user=watcher.user, text__contains=f"Issued by “{issuer}”").exists()


def test_all_tokens_of_a_person_are_one_notice_to_them(
    watcher: Membership, administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user), issue(user)
    Notice.objects.all().delete()
    token_services.delete_all_of(issuer=user, by=Actor.member(administrator), at=now)
    who, whose = administrator.user.get_full_name(), user.user.get_full_name()
    assert inbox_of(watcher) == [f"“{who}” deleted all 2 API tokens of “{whose}”"]


def test_what_they_do_or_issue_themselves_comes_once_or_not_at_all(
    watcher: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(watcher, name="Backup").token
    assert inbox_of(watcher) == []
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    who = administrator.user.get_full_name()
    assert inbox_of(watcher) == [f"“{who}” deleted your API token “Backup”"]


def test_who_is_no_administrator_any_more_gets_no_mail_of_others_tokens(
    watcher: Membership,
    administrator: Membership,
    user: Membership,
    issue: Issue,
    now: datetime,
    mailoutbox: list[EmailMessage],
) -> None:
    issue(user)
    members.change_role(
        membership=watcher, role=Role.ENGINEERS, by=Actor.member(administrator), at=now
    )
    issue(user)
    delivery.deliver()
    assert mailoutbox == []
    assert Mail.objects.get().state == State.DROPPED


def test_what_people_do_themselves_is_no_news_to_them(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    token_services.delete(token=token, by=Actor.member(user), at=now)
    assert inbox_of(user) == []
    assert not Mail.objects.exists()


def test_the_mail_goes_to_the_issuer_and_says_the_same(
    user: Membership,
    administrator: Membership,
    issue: Issue,
    now: datetime,
    mailoutbox: list[EmailMessage],
) -> None:
    token = issue(user, name="Backup").token
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    delivery.deliver()
    (mail,) = mailoutbox
    assert mail.to == [user.user.email]
    assert "deleted your API token “Backup”" in mail.subject


def test_who_left_the_account_gets_no_mail(
    user: Membership,
    administrator: Membership,
    issue: Issue,
    now: datetime,
    mailoutbox: list[EmailMessage],
) -> None:
    token = issue(user).token
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    delivery.deliver()
    assert mailoutbox == []
    assert Mail.objects.get().state == State.DROPPED


def test_who_turned_it_off_is_not_told(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    person = Person(user.user_id, user.account_id)
    for channel in Channel:
        preferences.turn_off(person, TOKEN_CHANGED_BY_OTHERS, channel)
    token_services.delete(token=issue(user).token, by=Actor.member(administrator), at=now)
    assert inbox_of(user) == []
    assert not Mail.objects.exists()


def test_who_turns_it_off_while_the_mail_waits_gets_none(
    user: Membership,
    administrator: Membership,
    issue: Issue,
    now: datetime,
    mailoutbox: list[EmailMessage],
) -> None:
    token_services.delete(token=issue(user).token, by=Actor.member(administrator), at=now)
    person = Person(user.user_id, user.account_id)
    preferences.turn_off(person, TOKEN_CHANGED_BY_OTHERS, Channel.EMAIL)
    delivery.deliver()
    assert mailoutbox == []
    assert Mail.objects.get().state == State.DROPPED


def test_a_deletion_that_did_not_happen_is_not_told(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    assert len(inbox_of(user)) == 1
