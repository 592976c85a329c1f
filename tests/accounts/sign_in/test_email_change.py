"""Another address: confirmed at the new one, told to the old one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from pytest_django import Settings
from time_machine import TimeMachineFixture

from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from accounts.roles import Role
from accounts.sign_in import email_change, registration, services
from accounts.users import services as user_services
from notifications.models import Mail
from tests.factories import PASSWORD, MembershipFactory
from tests.outbox import mail_to, mails_to, path_in

pytestmark = pytest.mark.django_db

URL = "/profile/email/"
AGAIN = "/sign-in/again/"
NEW = "new@example.net"


@pytest.fixture
def browser(client: Client, user: Membership) -> Client:
    """Signed in as the user, a moment ago once more."""
    client.post("/sign-in/", {"login": user.user.email, "password": PASSWORD})
    client.post(AGAIN, {"password": PASSWORD})
    return client


def ask(browser: Client, email: str = NEW) -> Any:
    return browser.post(URL, {"email": email})


def email_of(member: Membership) -> str:
    member.user.refresh_from_db()
    return member.user.email


def test_address_changes_when_the_link_is_confirmed(browser: Client, user: Membership) -> None:
    assert ask(browser, NEW.upper()).status_code == 200
    path = path_in(mail_to(NEW))
    assert email_of(user) != NEW
    browser.post(path)
    assert email_of(user) == NEW


def test_person_signs_in_with_the_new_address_and_not_with_the_old(
    browser: Client, user: Membership
) -> None:
    old = user.user.email
    ask(browser)
    browser.post(path_in(mail_to(NEW)))
    fresh = Client()
    fresh.post("/sign-in/", {"login": old, "password": PASSWORD})
    assert fresh.get(URL).status_code == 302
    fresh.post("/sign-in/", {"login": NEW, "password": PASSWORD})
    assert fresh.get(URL).status_code == 200
    assert EmailAddress.objects.get(user=user.user).email == NEW


def test_old_address_is_told(browser: Client, user: Membership) -> None:
    old = user.user.email
    ask(browser)
    assert not mails_to(old)
    browser.post(path_in(mail_to(NEW)))
    mail = mail_to(old)
    assert mail.subject == "Your email address was changed"
    assert NEW in mail.text


def test_change_leaves_an_event(browser: Client, user: Membership) -> None:
    old = user.user.email
    ask(browser)
    browser.post(path_in(mail_to(NEW)))
    event = AuditEvent.objects.get(kind="email.changed")
    assert (event.user, event.details) == (user.user, {"before": old, "after": NEW})


def test_opening_the_link_changes_nothing(browser: Client, user: Membership) -> None:
    ask(browser)
    assert NEW in browser.get(path_in(mail_to(NEW))).content.decode()
    assert email_of(user) != NEW


def test_link_is_good_once(browser: Client, user: Membership) -> None:
    ask(browser)
    path = path_in(mail_to(NEW))
    browser.post(path)
    assert browser.get(path).status_code == browser.post(path).status_code == 410


@pytest.mark.both
@pytest.mark.django_db(transaction=True)
def test_link_that_is_opened_in_two_windows_is_good_once(
    browser: Client, user: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both windows have read the link before either of them uses it."""
    ask(browser)
    path = path_in(mail_to(NEW))
    read, other = email_change.read, []

    def read_and_let_the_other_go_first(signed: str) -> Any:
        change = read(signed)
        monkeypatch.setattr(email_change, "read", read)
        other.append(Client().post(path))
        return change

    monkeypatch.setattr(email_change, "read", read_and_let_the_other_go_first)
    assert Client().post(path).status_code == 410
    assert other[0].status_code == 302
    assert AuditEvent.objects.filter(kind="email.changed").count() == 1


def test_link_is_good_for_a_day(
    browser: Client, user: Membership, now: datetime, time_machine: TimeMachineFixture
) -> None:
    ask(browser)
    path = path_in(mail_to(NEW))
    time_machine.move_to(now + timedelta(hours=24, minutes=1))
    assert browser.post(path).status_code == 410
    assert email_of(user) != NEW


def test_older_wish_dies_with_another_password(
    browser: Client, user: Membership, now: datetime
) -> None:
    ask(browser)
    path = path_in(mail_to(NEW))
    user_services.set_password(
        user=user.user, password="another long password", by=Actor.person(user.user), at=now
    )
    assert Client().post(path).status_code == 410
    assert email_of(user) != NEW


def test_of_two_wishes_one_comes_true(browser: Client, user: Membership) -> None:
    ask(browser, "first@example.net")
    ask(browser, "second@example.net")
    browser.post(path_in(mail_to("second@example.net")))
    assert not mails_to("first@example.net")
    assert email_of(user) == "second@example.net"


def test_used_link_stays_used_when_the_address_is_changed_back(
    browser: Client, user: Membership
) -> None:
    """A stranger who once had access to the new mailbox must not take the user over with it."""
    old = user.user.email
    ask(browser)
    link = path_in(mail_to(NEW))
    browser.post(link)
    ask(browser, old)
    browser.post(path_in(mail_to(old)))
    assert email_of(user) == old
    assert Client().post(link).status_code == 410
    assert email_of(user) == old


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent yet"])
def test_newer_wish_ends_the_link_of_the_older_one(
    browser: Client, user: Membership, is_sent: bool
) -> None:
    ask(browser, "typo@example.net")
    link = path_in(mail_to("typo@example.net")) if is_sent else ""
    ask(browser)
    assert path_in(mail_to(NEW))
    assert is_sent or not mails_to("typo@example.net")
    assert not is_sent or Client().post(link).status_code == 410
    assert email_of(user) != NEW


def test_link_ends_while_it_is_used(
    browser: Client, user: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user asks for another address between the reading of a link and the change."""
    ask(browser)
    link, read = path_in(mail_to(NEW)), email_change.read

    def read_and_ask_anew(signed: str) -> Any:
        change = read(signed)
        ask(browser, "other@example.net")
        return change

    monkeypatch.setattr(email_change, "read", read_and_ask_anew)
    assert Client().post(link).status_code == 410
    assert email_of(user) != NEW


def test_forged_link_is_refused(client: Client) -> None:
    assert client.post(f"{URL}WzEsMl0:1xVdK7:forged/").status_code == 410


def test_address_of_another_user_is_answered_like_any_other(
    browser: Client, administrator: Membership
) -> None:
    taken, free = ask(browser, administrator.user.email), ask(browser)
    assert taken.status_code == free.status_code == 200
    assert mail_to(administrator.user.email).subject == "You are already registered"


def test_address_that_is_taken_meanwhile_is_refused(browser: Client, user: Membership) -> None:
    ask(browser)
    path = path_in(mail_to(NEW))
    MembershipFactory.create(user__email=NEW)
    answer = browser.post(path)
    assert answer.status_code == 400
    assert "Another user has taken this address" in answer.content.decode()
    assert email_of(user) != NEW


def invite(member: Membership, now: datetime) -> None:
    invitations.invite(
        account=member.account, email=NEW, role=Role.USERS, by=Actor.member(member), at=now
    )


def sign_up(_member: Membership, now: datetime) -> None:
    by = Actor(through=EntryPoint.PORTAL)
    registration.sign_up(email=NEW, password=PASSWORD, account_name="Globex", by=by, at=now)


@pytest.mark.both
@pytest.mark.parametrize("take", [invite, sign_up])
@pytest.mark.parametrize("takes_first", [True, False])
def test_who_has_proven_nothing_keeps_nobody_from_an_address(
    browser: Client,
    user: Membership,
    now: datetime,
    take: Callable[[Membership, datetime], None],
    takes_first: bool,
) -> None:
    stranger = MembershipFactory.create()
    if takes_first:
        take(stranger, now)
        holder = User.objects.get(email=NEW)
    ask(browser)
    path = path_in(mails_to(NEW)[-1])
    if not takes_first:
        take(stranger, now)
        holder = User.objects.get(email=NEW)

    browser.post(path)

    assert email_of(user) == NEW
    assert not User.objects.filter(pk=holder.pk).exists()
    assert not Account.objects.filter(name="Globex", closed_at=None).exists()
    invited = list(Invitation.objects.open().filter(account=stranger.account))
    assert [each.user for each in invited] == [user.user] * (take is invite)


def test_invitation_by_ones_own_account_ends_with_the_change(
    browser: Client, user: Membership, administrator: Membership, now: datetime
) -> None:
    invite(administrator, now)

    ask(browser)
    browser.post(path_in(mails_to(NEW)[-1]))

    assert email_of(user) == NEW
    assert not Invitation.objects.open().exists()
    assert Invitation.objects.get().withdrawn_at is not None


def test_operator_sets_an_address_that_was_only_invited(user: Membership, now: datetime) -> None:
    invite(MembershipFactory.create(), now)
    operator = Actor.operator(through=EntryPoint.COMMAND)

    services.change_email(user=user.user, email=NEW, by=operator, at=now)

    assert email_of(user) == NEW


def test_own_address_is_refused(browser: Client, user: Membership) -> None:
    assert ask(browser, user.user.email).status_code == 400
    assert not Mail.objects.exists()


@pytest.mark.parametrize(
    "email",
    ["", "x", "nеw@example.net", "new@exämple.net", "a\0@example.net", "x" * 300 + "@e.org"],
)
def test_bad_address_is_told_and_written_to_by_nobody(browser: Client, email: str) -> None:
    assert ask(browser, email).status_code == 400
    assert not Mail.objects.exists()


def test_open_browser_is_not_enough(client: Client, user: Membership) -> None:
    client.force_login(user.user)
    assert ask(client)["Location"].startswith(AGAIN)
    assert not Mail.objects.exists()


def test_wish_goes_on_after_signing_in_again(client: Client, user: Membership) -> None:
    client.force_login(user.user)
    again = ask(client)["Location"]
    client.post(again, {"password": PASSWORD, "next": URL})
    assert path_in(mail_to(NEW))


def test_portal_writes_to_few_strangers(browser: Client) -> None:
    answers = [ask(browser, f"stranger{number}@example.net") for number in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [400] * 2
    assert Mail.objects.count() == 5


def test_link_goes_to_the_configured_address(browser: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    browser.post(URL, {"email": NEW}, HTTP_X_FORWARDED_HOST="evil.example")
    assert "evil.example" not in mail_to(NEW).text


def test_strangers_ask_for_nothing(client: Client) -> None:
    assert ask(client)["Location"].startswith("/sign-in/")
