"""Accepting an invitation: new users, known ones, other users, invalid links."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from time_machine import TimeMachineFixture

from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.members import services as members
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from accounts.roles import Role
from accounts.sign_in import services as sign_in_services
from accounts.tenancy.decorators import SESSION_KEY
from accounts.users import services as user_services
from tests.factories import ACCOUNT_ID, PASSWORD, MembershipFactory
from tests.outbox import mails_to, path_in

pytestmark = pytest.mark.django_db

NEW = "new.person@example.com"
LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"


@pytest.fixture
def invite(administrator: Membership, now: datetime) -> Any:
    """`invite(email)`: the Administrator asks this address to join as one of the Engineers."""

    def act(email: str = NEW) -> Invitation:
        return invitations.invite(
            account=administrator.account,
            email=email,
            role=Role.ENGINEERS,
            by=Actor.member(administrator),
            at=now,
        )

    return act


def path_to(email: str = NEW) -> str:
    """Where the newest invitation to this address leads."""
    paths = [path_in(mail) for mail in mails_to(email)]
    return [path for path in paths if path.startswith("/invitations/")][-1]


def sign_in(client: Client, email: str, password: str = PASSWORD) -> None:
    client.post("/sign-in/", {"login": email, "password": password})


def is_signed_in(client: Client) -> bool:
    return client.get(LIST).status_code == 200


def member(email: str, of: Membership) -> Membership | None:
    present = Membership.objects.present()
    return present.filter(user__email=email, account_id=of.account_id).first()


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_new_person_sets_a_password_and_is_in(
    client: Client, invite: Any, administrator: Membership
) -> None:
    invite()
    path = path_to()
    assert "Choose a password" in text(client.get(path))
    answer = client.post(path, {"name": "Nora", "password1": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    joined = member(NEW, administrator)
    assert joined is not None
    assert joined.held_role is Role.ENGINEERS
    assert is_signed_in(client)
    assert client.session[SESSION_KEY] == administrator.account_id


def test_words_of_a_stranger_who_signed_up_before_are_not_the_persons(
    client: Client, administrator: Membership, now: datetime
) -> None:
    """Anybody may sign up with an address. The owner of the mailbox is the person."""
    words = {"account_name": "Evil Corp", "name": "Stupid Person", "language": "ru"}
    Client().post("/sign-up/", {**words, "email": NEW, "password1": PASSWORD})
    User.objects.filter(email=NEW).update(phone="+49 1")
    invitations.invite(
        account=administrator.account, email=NEW, role=Role.ENGINEERS, name="Maria", language="de",
        by=Actor.member(administrator), at=now,
    )  # fmt: skip

    page = text(client.get(path_to()))
    assert 'value="Maria"' in page
    assert "Stupid Person" not in page
    client.post(path_to(), {"name": "Nora", "password1": "another long pass phrase"})

    joined = User.objects.get(email=NEW)
    assert (joined.name, joined.language, joined.phone) == ("Nora", "de", "")
    assert list(joined.memberships.values_list("account", flat=True)) == [administrator.account_id]
    assert Account.objects.get(name="Evil Corp").closed_at is not None
    assert is_signed_in(client)


def test_new_person_reads_times_in_the_zone_of_the_browser(client: Client, invite: Any) -> None:
    invite()
    client.post(path_to(), {"name": "Nora", "password1": PASSWORD, "time_zone": "Asia/Baku"})
    assert User.objects.get(email=NEW).time_zone == "Asia/Baku"


@pytest.mark.parametrize("name", ["", "  ", "x" * 151, "two\nlines", "\u202eevil", "a\0b"])
def test_new_person_says_their_name(
    client: Client, invite: Any, administrator: Membership, name: str
) -> None:
    invite()
    answer = client.post(path_to(), {"name": name, "password1": PASSWORD})
    assert answer.status_code == 400
    assert ("Enter your name." in text(answer)) is (not name.strip())
    assert member(NEW, administrator) is None


def test_password_may_not_be_the_name_that_comes_with_it(client: Client, invite: Any) -> None:
    invite()
    form = {"name": "Bartholomea Quillfeather", "password1": "Bartholomea Quillfeather"}
    assert client.post(path_to(), form).status_code == 400
    assert not User.objects.get(email=NEW).has_usable_password()


def test_least_role_is_chosen_before_anybody_chooses(client: Client, administrator: Any) -> None:
    client.force_login(administrator.user)
    page = client.get(reverse("accounts:invite", args=[administrator.account_id]))
    assert [each.label for each in page.context["form"].role_choices if each.checked] == ["Users"]


def test_new_person_signs_in_with_that_password_later(client: Client, invite: Any) -> None:
    invite()
    client.post(path_to(), {"name": "Nora", "password1": PASSWORD})
    later = Client()
    sign_in(later, NEW)
    assert is_signed_in(later)


@pytest.mark.parametrize("password", ["", "short", "password1234", NEW, "\0" * 12])
def test_bad_password_is_told_and_joins_nobody(
    client: Client, invite: Any, administrator: Membership, password: str
) -> None:
    invite()
    answer = client.post(path_to(), {"name": "Nora", "password1": password})
    assert answer.status_code == 400
    assert member(NEW, administrator) is None
    assert not User.objects.get(email=NEW).has_usable_password()


def test_opening_the_link_joins_nobody(
    client: Client, invite: Any, administrator: Membership
) -> None:
    invite()
    client.get(path_to())
    assert member(NEW, administrator) is None


def test_known_person_signs_in_and_joins(
    client: Client, invite: Any, administrator: Membership, stranger: Membership
) -> None:
    invite(stranger.user.email)
    path = path_to(stranger.user.email)
    assert f"/sign-in/?next={path.replace(':', '%3A')}" in text(client.get(path))
    sign_in(client, stranger.user.email)
    assert client.post(path)["Location"] == LIST
    assert member(stranger.user.email, administrator) is not None


def test_known_person_keeps_their_password(
    client: Client, invite: Any, stranger: Membership, administrator: Membership
) -> None:
    invite(stranger.user.email)
    client.post(
        path_to(stranger.user.email), {"name": "Nora", "password1": "a password of a stranger"}
    )
    stranger.user.refresh_from_db()
    assert stranger.user.check_password(PASSWORD)
    assert member(stranger.user.email, administrator) is None


def test_password_that_a_stranger_has_set_at_the_address_is_worth_nothing(
    client: Client, invite: Any
) -> None:
    planted = "the password of a stranger"
    form = {"account_name": "Trap", "email": NEW, "password1": planted}
    Client().post("/sign-up/", form)
    invite()
    client.post(path_to(), {"name": "Nora", "password1": PASSWORD})
    attacker = Client()
    sign_in(attacker, NEW, planted)
    assert not is_signed_in(attacker)
    assert is_signed_in(client)


def test_another_user_is_told_whose_invitation_it_is(
    client: Client, invite: Any, stranger: Membership, administrator: Membership
) -> None:
    invite()
    path = path_to()
    sign_in(client, stranger.user.email)
    for answer in (client.get(path), client.post(path, {"name": "Nora", "password1": PASSWORD})):
        assert NEW in text(answer)
        assert "Sign out and continue" in text(answer)
    assert member(NEW, administrator) is None
    assert member(stranger.user.email, administrator) is None


def test_another_user_signs_out_and_goes_on(
    client: Client, invite: Any, stranger: Membership
) -> None:
    invite()
    path = path_to()
    sign_in(client, stranger.user.email)
    assert client.post("/sign-out/", {"next": path})["Location"] == path
    assert "Choose a password" in text(client.get(path))


def test_link_is_good_once(client: Client, invite: Any) -> None:
    invite()
    path = path_to()
    client.post(path, {"name": "Nora", "password1": PASSWORD})
    for answer in (
        Client().get(path),
        Client().post(path, {"name": "Nora", "password1": "another password 1"}),
    ):
        assert answer.status_code == 410
        assert "already been accepted" in text(answer)
    assert User.objects.get(email=NEW).check_password(PASSWORD)


def test_link_is_good_for_a_day(
    client: Client,
    invite: Any,
    administrator: Membership,
    now: datetime,
    time_machine: TimeMachineFixture,
) -> None:
    invite()
    path = path_to()
    time_machine.move_to(now + timedelta(hours=24))
    answer = client.post(path, {"name": "Nora", "password1": PASSWORD})
    assert (answer.status_code, "24 hours" in text(answer)) == (410, True)
    assert member(NEW, administrator) is None


def test_withdrawn_invitation_is_told(
    client: Client, invite: Any, administrator: Membership, now: datetime
) -> None:
    invitation = invite()
    path = path_to()
    invitations.withdraw(invitation=invitation, by=Actor.member(administrator), at=now)
    answer = client.post(path, {"name": "Nora", "password1": PASSWORD})
    assert (answer.status_code, "withdrawn" in text(answer)) == (410, True)


def test_older_link_dies_when_it_is_sent_again(
    client: Client, invite: Any, administrator: Membership, now: datetime
) -> None:
    invitation = invite()
    older = path_to()
    invitations.send_again(invitation=invitation, by=Actor.member(administrator), at=now)
    assert client.get(older).status_code == 410
    assert client.get(path_to()).status_code == 200


def test_invitation_ends_with_its_inviter(
    client: Client, invite: Any, administrator: Membership, now: datetime
) -> None:
    other = MembershipFactory.create(account=administrator.account)
    invite()
    path = path_to()
    members.remove_member(membership=administrator, by=Actor.member(other), at=now)
    answer = client.post(path, {"name": "Nora", "password1": PASSWORD})
    assert answer.status_code == 410
    assert "no longer an Administrator of the account" in text(answer)
    assert not User.objects.get(email=NEW).has_usable_password()


def test_removed_person_does_not_come_back_with_the_old_link(
    client: Client, invite: Any, administrator: Membership, now: datetime
) -> None:
    invite()
    path = path_to()
    client.post(path, {"name": "Nora", "password1": PASSWORD})
    joined = member(NEW, administrator)
    assert joined is not None
    members.remove_member(membership=joined, by=Actor.member(administrator), at=now)
    assert client.post(path).status_code == 410
    assert member(NEW, administrator) is None


def test_switched_off_person_does_not_join(
    client: Client, invite: Any, administrator: Membership, now: datetime
) -> None:
    invite()
    path = path_to()
    operator = Actor.operator(through=EntryPoint.COMMAND)
    user_services.deactivate_user(user=User.objects.get(email=NEW), by=operator, at=now)
    client.post(path, {"name": "Nora", "password1": PASSWORD})
    assert member(NEW, administrator) is None


@pytest.mark.parametrize("signed", ["x", "WzEsMl0:1xVdK7:forged", "%00", "a" * 3000])
def test_damaged_link_is_told(client: Client, signed: str) -> None:
    for answer in (client.get(f"/invitations/{signed}/"), client.post(f"/invitations/{signed}/")):
        assert answer.status_code == 410
        assert "damaged" in text(answer)


def test_joining_leaves_events(client: Client, invite: Any) -> None:
    invite()
    client.post(path_to(), {"name": "Nora", "password1": PASSWORD})
    joined = User.objects.get(email=NEW)
    kinds = AuditEvent.objects.filter(user=joined).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["invitation.accepted", "user.password_set", "sign_in.succeeded"]


def test_link_to_an_address_that_was_given_up_sets_no_password(
    client: Client, invite: Any, administrator: Membership, now: datetime
) -> None:
    """The former address may belong to another person by now."""
    invite()
    path = path_to()
    invited = User.objects.get(email=NEW)
    sign_in_services.change_email(
        user=invited, email="moved@example.com", by=Actor.person(invited), at=now
    )
    client.post(path, {"name": "Nora", "password1": PASSWORD})
    invited.refresh_from_db()
    assert not invited.has_usable_password()
    assert not is_signed_in(client)


def test_invitation_that_is_withdrawn_at_the_last_moment_is_on_the_record(
    client: Client,
    invite: Any,
    administrator: Membership,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    invitation, path = invite(), path_to()

    def find(signed: str, **facts: Any) -> Invitation:
        found = find_first(signed, **facts)
        invitations.withdraw(invitation=invitation, by=Actor.member(administrator), at=now)
        return found

    find_first = invitations.find
    monkeypatch.setattr(invitations, "find", find)
    assert client.post(path, {"name": "Nora", "password1": PASSWORD}).status_code == 410
    assert AuditEvent.objects.get(kind="invitation.refused").details["code"] == "withdrawn"
    assert not User.objects.get(email=NEW).has_usable_password()


# --- What the account can read about links that were refused -----------------------------------


def refusals() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(kind="invitation.refused").order_by("pk"))


def test_late_link_is_on_the_record_of_the_account(
    client: Client,
    invite: Any,
    administrator: Membership,
    now: datetime,
    time_machine: TimeMachineFixture,
) -> None:
    invitation, path = invite(), path_to()
    time_machine.move_to(now + timedelta(hours=24))
    client.get(path, REMOTE_ADDR="203.0.113.9")
    event = refusals()[0]
    assert (event.account, event.user, event.address) == (
        administrator.account,
        None,
        "203.0.113.9",
    )
    assert (event.subject_id, event.details) == (
        invitation.pk,
        {"email": NEW, "role": "Engineers", "code": "late"},
    )


def test_each_opening_of_a_withdrawn_link_is_on_the_record_once(
    client: Client, invite: Any, administrator: Membership, now: datetime
) -> None:
    invitation, path = invite(), path_to()
    invitations.withdraw(invitation=invitation, by=Actor.member(administrator), at=now)
    client.get(path)
    client.post(path, {"name": "Nora", "password1": PASSWORD})
    assert [event.details["code"] for event in refusals()] == ["withdrawn", "withdrawn"]


def test_link_that_is_opened_without_end_does_not_fill_the_audit_log(
    client: Client, invite: Any, administrator: Membership, now: datetime
) -> None:
    invitation, path = invite(), path_to()
    invitations.withdraw(invitation=invitation, by=Actor.member(administrator), at=now)
    for _ in range(8):
        assert client.get(path).status_code == 410
    assert len(refusals()) == 5


def test_opening_by_another_user_is_recorded_without_naming_them(
    client: Client, invite: Any, stranger: Membership
) -> None:
    """Their other address, or the account they work in, is none of the inviter's business."""
    invite()
    path = path_to()
    sign_in(client, stranger.user.email)
    client.get(path)
    [event] = refusals()
    assert (event.details["code"], event.user) == ("other_person", None)


def test_invited_person_who_comes_late_is_named(
    client: Client, invite: Any, stranger: Membership, now: datetime, time_machine: Any
) -> None:
    invite(stranger.user.email)
    path = path_to(stranger.user.email)
    time_machine.move_to(now + timedelta(hours=25))
    sign_in(client, stranger.user.email)
    client.get(path)
    assert refusals()[-1].user == stranger.user


def test_good_link_and_a_damaged_one_leave_no_refusal(client: Client, invite: Any) -> None:
    invite()
    client.get(path_to())
    client.get("/invitations/WzEsMl0:1xVdK7:forged/")
    assert refusals() == []


def test_form_of_another_site_is_refused(invite: Any, administrator: Membership) -> None:
    invite()
    browser = Client(enforce_csrf_checks=True)
    assert browser.post(path_to(), {"name": "Nora", "password1": PASSWORD}).status_code == 403
    assert member(NEW, administrator) is None
