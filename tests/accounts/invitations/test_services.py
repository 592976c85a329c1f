"""Invitations: who may invite whom, what the link is good for, and what it never tells."""

from datetime import datetime, timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from pytest_django import Settings

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.invitations.services import InvitationRefused
from accounts.members import services as members
from accounts.models import AuditEvent, Invitation, Membership, User
from accounts.roles import Role
from accounts.users import services as user_services
from notifications.models import Mail
from tests.factories import MembershipFactory, UserFactory, acting

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
VISITOR = Actor(through=EntryPoint.PORTAL)
WEAKER = [role for role in Role if role is not Role.ADMINISTRATORS]
EMAIL = "new.person@example.com"


def invite(administrator: Membership, at: datetime, **facts: object) -> Invitation:
    return invitations.invite(
        **{  # type: ignore[arg-type]  # any argument of the service can be given
            "account": administrator.account,
            "email": EMAIL,
            "role": Role.ENGINEERS,
            "by": Actor.member(administrator),
            "at": at,
            **facts,
        }
    )


def accept(invitation: Invitation, at: datetime, user: User | None = None) -> Membership:
    user = user or invitation.user
    return invitations.accept(invitation=invitation, user=user, by=Actor.person(user), at=at)


def code_of(refusal: pytest.ExceptionInfo[ValidationError]) -> str | None:
    errors = refusal.value
    if hasattr(errors, "error_dict"):
        return next(iter(errors.error_dict.values()))[0].code
    return errors.error_list[0].code


def is_member(user: User, administrator: Membership) -> bool:
    present = Membership.objects.present()
    return present.filter(user=user, account=administrator.account).exists()


# --- Inviting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_administrator_invites_with_any_role(
    administrator: Membership, now: datetime, role: Role
) -> None:
    invitation = invite(administrator, now, role=role)
    assert accept(invitation, now).held_role is role


@pytest.mark.parametrize("role", WEAKER)
def test_others_may_not_invite(administrator: Membership, now: datetime, role: Role) -> None:
    member = MembershipFactory.create(account=administrator.account, role=role)
    with pytest.raises(PermissionDenied, match="Only Administrators can invite"):
        invite(administrator, now, by=Actor.member(member), role=Role.USERS)
    assert not Invitation.objects.exists()
    assert not User.objects.filter(email=EMAIL).exists()


def test_administrator_of_another_account_may_not_invite(
    administrator: Membership, stranger: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied):
        invite(administrator, now, by=Actor.member(stranger))


def test_operator_invites(administrator: Membership, now: datetime) -> None:
    assert is_member(accept(invite(administrator, now, by=OPERATOR), now).user, administrator)


def test_administrators_token_invites(administrator: Membership, now: datetime) -> None:
    by = acting(administrator, Role.ADMINISTRATORS, at=now)
    invite(administrator, now, by=by)
    assert AuditEvent.objects.get(kind="invitation.sent").through_token == by.token_id


@pytest.mark.parametrize("role", WEAKER)
def test_weaker_token_of_an_administrator_may_not_invite(
    administrator: Membership, now: datetime, role: Role
) -> None:
    with pytest.raises(PermissionDenied):
        invite(administrator, now, by=acting(administrator, role, at=now), role=Role.USERS)


def test_administrator_who_was_demoted_meanwhile_may_not_invite(
    administrator: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    Membership.objects.filter(pk=administrator.pk).update(role=Role.ENGINEERS)
    with pytest.raises(PermissionDenied):
        invite(administrator, now, by=by)


def test_nobody_is_invited_to_a_closed_account(administrator: Membership, now: datetime) -> None:
    account_services.close_account(account=administrator.account, by=OPERATOR, at=now)
    with pytest.raises(InvitationRefused, match="is closed"):
        invite(administrator, now, by=OPERATOR)


def test_new_person_cannot_sign_in_before_they_accept(
    administrator: Membership, now: datetime
) -> None:
    user = invite(administrator, now, name="Ada", language="de").user
    assert not user.has_usable_password()
    assert not EmailAddress.objects.get(user=user).verified
    assert (user.email, user.name, user.language) == (EMAIL, "Ada", "de")


def test_known_person_stays_as_they_are(administrator: Membership, now: datetime) -> None:
    known = UserFactory.create(email=EMAIL, name="Ada Lovelace")
    invitation = invite(administrator, now, name="The new one", language="de")
    known.refresh_from_db()
    assert invitation.user == known
    assert (known.name, known.language) == ("Ada Lovelace", "en")


def test_ids_do_not_reveal_whether_the_user_was_known(
    administrator: Membership, now: datetime
) -> None:
    known = UserFactory.create()
    ids = [
        invite(administrator, now, email=email).user_id
        for email in (EMAIL, known.email, "another@example.com")
    ]
    assert all(100_000_000 <= pk < 1_000_000_000 for pk in ids)
    assert len({ids[0] - known.pk, ids[2] - ids[0], 1}) == 3  # drawn, and not one after another


def test_address_is_compared_in_lower_case(administrator: Membership, now: datetime) -> None:
    known = UserFactory.create(email=EMAIL)
    assert invite(administrator, now, email=" New.Person@EXAMPLE.com ").user == known


@pytest.mark.parametrize(
    "email",
    [
        "",
        "x",
        "@example.com",
        "a@",
        "a b@example.com",
        "a@example.com\nBcc: b@example.com",
        "a@example.com\0",
        "а@example.com",  # Cyrillic
        "ada@exämple.com",
        "ada@examрle.com",  # Cyrillic
        "ⓐda@example.com",
        "a\u202e@example.com",
        "x" * 300 + "@example.com",
    ],
)
def test_address_that_is_none_or_looks_like_another_is_refused(
    administrator: Membership, now: datetime, email: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        invite(administrator, now, email=email)
    assert list(refusal.value.error_dict) == ["email"]
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a\nb"),
        ("name", "a\u202eb"),
        ("name", "\0"),
        ("name", "x" * 151),
        ("language", "xx"),
        ("role", 7),
    ],
)
def test_bad_fact_is_refused_by_its_field(
    administrator: Membership, now: datetime, field: str, value: object
) -> None:
    with pytest.raises(ValidationError) as refusal:
        invite(administrator, now, **{field: value})
    assert list(refusal.value.error_dict) == [field]
    assert not User.objects.filter(email=EMAIL).exists()


def test_member_is_not_invited(administrator: Membership, user: Membership, now: datetime) -> None:
    with pytest.raises(ValidationError) as refusal:
        invite(administrator, now, email=user.user.email)
    assert code_of(refusal) == "already_member"


def test_invited_user_is_not_invited_twice(administrator: Membership, now: datetime) -> None:
    first = invite(administrator, now)
    with pytest.raises(ValidationError) as refusal:
        invite(administrator, now)
    error = refusal.value.error_dict["email"][0]
    assert error.code == "already_invited"
    assert error.params == {"user": first.user_id, "account": administrator.account_id}


def test_late_invitation_gives_way_to_a_new_one(administrator: Membership, now: datetime) -> None:
    invite(administrator, now)
    again = invite(administrator, now + timedelta(hours=24))
    assert list(Invitation.objects.open()) == [again]


def test_database_keeps_one_open_invitation_a_person(
    administrator: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now)
    invitation.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        invitation.save(force_insert=True)


def test_other_accounts_invite_the_same_person(
    administrator: Membership, stranger: Membership, now: datetime
) -> None:
    mine = invite(administrator, now)
    theirs = invite(stranger, now)
    assert mine.user == theirs.user
    accept(mine, now)
    assert is_member(accept(theirs, now).user, stranger)


def test_five_people_a_day_and_not_a_sixth(administrator: Membership, now: datetime) -> None:
    for number in range(5):
        invite(administrator, now, email=f"person-{number}@new.example")
    with pytest.raises(ValidationError) as refusal:
        invite(administrator, now + timedelta(hours=23))
    assert code_of(refusal) == "too_many_invitations"
    assert not User.objects.filter(email=EMAIL).exists()
    assert AuditEvent.objects.get(kind="invitation.refused").details == {
        "code": "too_many_invitations"
    }
    assert invite(administrator, now + timedelta(hours=24))


def test_withdrawn_known_and_accepted_ones_count_too(
    administrator: Membership, now: datetime, settings: Settings
) -> None:
    settings.INVITATIONS_PER_DAY = 3
    by = Actor.member(administrator)
    invitations.withdraw(invitation=invite(administrator, now), by=by, at=now)
    invite(administrator, now, email=UserFactory.create().email)
    accept(invite(administrator, now), now)
    with pytest.raises(ValidationError) as refusal:
        invite(administrator, now, email="fourth@example.com")
    assert code_of(refusal) == "too_many_invitations"


def test_limit_is_each_accounts_own_and_not_for_operators(
    administrator: Membership, stranger: Membership, now: datetime, settings: Settings
) -> None:
    settings.INVITATIONS_PER_DAY = 1
    invite(administrator, now)
    assert invite(stranger, now)
    assert invite(administrator, now, email="another@example.com", by=OPERATOR)


# --- Sending again and withdrawing -------------------------------------------------------------


def test_sending_again_renews_the_link_and_kills_the_old_one(
    administrator: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now)
    old, later = invitations.signed_id(invitation), now + timedelta(hours=30)
    again = invitations.send_again(invitation=invitation, by=Actor.member(administrator), at=later)
    with pytest.raises(InvitationRefused, match="no longer valid"):
        invitations.find(old, by=VISITOR, at=later)
    in_time = later + timedelta(hours=23)
    assert invitations.find(invitations.signed_id(again), by=VISITOR, at=in_time) == invitation
    assert accept(again, in_time).held_role is Role.ENGINEERS


def test_each_sending_is_one_mail(administrator: Membership, now: datetime) -> None:
    invitation = invite(administrator, now)
    assert Mail.objects.filter(kind="invitation").count() == 1
    invitations.send_again(invitation=invitation, by=Actor.member(administrator), at=now)
    assert Mail.objects.filter(kind="invitation").count() == 2


def test_mailbox_is_not_filled(administrator: Membership, now: datetime) -> None:
    invitation = invite(administrator, now)
    for _time in range(4):
        invitations.send_again(invitation=invitation, by=Actor.member(administrator), at=now)
    with pytest.raises(ValidationError) as refusal:
        invitations.send_again(invitation=invitation, by=Actor.member(administrator), at=now)
    assert code_of(refusal) == "sent_too_often"
    assert Mail.objects.filter(kind="invitation").count() == 5


@pytest.mark.parametrize("act", [invitations.send_again, invitations.withdraw])
@pytest.mark.parametrize("role", WEAKER)
def test_others_manage_no_invitations(
    administrator: Membership, now: datetime, role: Role, act: object
) -> None:
    assert callable(act)
    invitation = invite(administrator, now)
    member = MembershipFactory.create(account=administrator.account, role=role)
    with pytest.raises(PermissionDenied):
        act(invitation=invitation, by=Actor.member(member), at=now)
    assert accept(invitation, now)


@pytest.mark.parametrize("act", [invitations.send_again, invitations.withdraw])
def test_administrator_of_another_account_manages_no_invitations_of_this_one(
    administrator: Membership, stranger: Membership, now: datetime, act: object
) -> None:
    assert callable(act)
    invitation = invite(administrator, now)
    with pytest.raises(PermissionDenied):
        act(invitation=invitation, by=Actor.member(stranger), at=now)
    assert accept(invitation, now)


def test_withdrawn_invitation_is_good_for_nothing(administrator: Membership, now: datetime) -> None:
    invitation = invite(administrator, now)
    assert invitations.withdraw(invitation=invitation, by=Actor.member(administrator), at=now)
    with pytest.raises(InvitationRefused, match="withdrawn"):
        invitations.find(invitations.signed_id(invitation), by=VISITOR, at=now)
    with pytest.raises(InvitationRefused, match="withdrawn"):
        accept(invitation, now)
    with pytest.raises(InvitationRefused, match="withdrawn"):
        invitations.send_again(invitation=invitation, by=Actor.member(administrator), at=now)
    assert not is_member(invitation.user, administrator)


def test_withdrawing_is_idempotent_and_does_nothing_after_acceptance(
    administrator: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    first, second = invite(administrator, now), invite(administrator, now, email="b@example.com")
    assert invitations.withdraw(invitation=first, by=by, at=now)
    assert not invitations.withdraw(invitation=first, by=by, at=now)
    accept(second, now)
    assert not invitations.withdraw(invitation=second, by=by, at=now)
    assert is_member(second.user, administrator)


# --- Accepting ---------------------------------------------------------------------------------


def test_person_joins_and_their_address_counts_as_confirmed(
    administrator: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now)
    member = accept(invitations.find(invitations.signed_id(invitation), by=VISITOR, at=now), now)
    assert is_member(member.user, administrator)
    assert EmailAddress.objects.get(user=member.user).verified
    event = AuditEvent.objects.get(kind="invitation.accepted")
    assert (event.user, event.account) == (member.user, administrator.account)


def test_link_is_good_for_24_hours_and_not_longer(administrator: Membership, now: datetime) -> None:
    signed = invitations.signed_id(invite(administrator, now))
    end = now + timedelta(hours=24)
    invitation = invitations.find(signed, by=VISITOR, at=end - timedelta(microseconds=1))
    for act in (
        lambda: invitations.find(signed, by=VISITOR, at=end),
        lambda: accept(invitation, end),
    ):
        with pytest.raises(InvitationRefused, match="24 hours"):
            act()
    assert not is_member(invitation.user, administrator)


def test_link_is_good_once(administrator: Membership, now: datetime) -> None:
    invitation = invite(administrator, now)
    accept(invitation, now)
    with pytest.raises(InvitationRefused, match="already been accepted"):
        invitations.find(invitations.signed_id(invitation), by=VISITOR, at=now)
    with pytest.raises(InvitationRefused, match="already been accepted"):
        accept(invitation, now)


def test_removed_person_does_not_come_back_by_the_old_link(
    administrator: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now)
    member = accept(invitation, now)
    members.remove_member(membership=member, by=Actor.member(administrator), at=now)
    with pytest.raises(InvitationRefused, match="already been accepted"):
        accept(invitation, now)
    assert not is_member(member.user, administrator)


def test_removed_person_comes_back_by_a_new_invitation(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    again = accept(invite(administrator, now, email=user.user.email), now)
    assert (again.pk, again.held_role) == (user.pk, Role.ENGINEERS)


def test_another_signed_in_user_does_not_take_the_place(
    administrator: Membership, stranger: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now)
    for by in (Actor.person(stranger.user), Actor.member(stranger)):
        for user in (stranger.user, invitation.user):
            with pytest.raises(PermissionDenied, match="someone else"):
                invitations.accept(invitation=invitation, user=user, by=by, at=now)
    assert not is_member(stranger.user, administrator)
    assert not is_member(invitation.user, administrator)
    assert AuditEvent.objects.filter(kind="invitation.refused").count() == 4


def test_api_token_accepts_nothing_in_the_name_of_its_issuer(
    administrator: Membership, stranger: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now, email=stranger.user.email)
    by = acting(stranger, Role.ADMINISTRATORS, at=now)
    with pytest.raises(PermissionDenied):
        invitations.accept(invitation=invitation, user=stranger.user, by=by, at=now)


def test_person_who_is_switched_off_does_not_join(administrator: Membership, now: datetime) -> None:
    invitation = invite(administrator, now)
    user_services.deactivate_user(user=invitation.user, by=OPERATOR, at=now)
    with pytest.raises(PermissionDenied):
        accept(invitation, now)
    assert not Membership.objects.filter(user=invitation.user).exists()


@pytest.mark.parametrize("goes", ["removed", "demoted", "switched off"])
def test_invitation_dies_with_the_inviters_right_to_invite(
    administrator: Membership, now: datetime, goes: str
) -> None:
    inviter = MembershipFactory.create(account=administrator.account)
    invitation = invite(inviter, now)
    by = Actor.member(administrator)
    match goes:
        case "removed":
            members.remove_member(membership=inviter, by=by, at=now)
        case "demoted":
            members.change_role(membership=inviter, role=Role.ENGINEERS, by=by, at=now)
        case "switched off":
            user_services.deactivate_user(user=inviter.user, by=OPERATOR, at=now)
    with pytest.raises(InvitationRefused, match="no longer an Administrator of the account"):
        accept(invitation, now)
    again = invitations.send_again(invitation=invitation, by=by, at=now)
    assert is_member(accept(again, now).user, administrator)


def test_invitation_to_an_account_that_was_closed_is_refused(
    administrator: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now)
    account_services.close_account(account=administrator.account, by=OPERATOR, at=now)
    with pytest.raises(InvitationRefused, match="closed"):
        accept(invitation, now)


def test_person_whom_an_operator_added_meanwhile_keeps_that_role(
    administrator: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now, role=Role.ADMINISTRATORS)
    member = members.add_member(
        account=administrator.account, user=invitation.user, role=Role.USERS, by=OPERATOR, at=now
    )
    with pytest.raises(InvitationRefused, match="withdrawn"):
        accept(invitation, now)
    member.refresh_from_db()
    assert member.held_role is Role.USERS


def test_person_who_was_added_may_accept_the_invitation_of_another_account(
    administrator: Membership, stranger: Membership, now: datetime
) -> None:
    invitation = invite(stranger, now)
    account, user = administrator.account, invitation.user
    members.add_member(account=account, user=user, role=Role.USERS, by=OPERATOR, at=now)

    assert accept(invitation, now).account == stranger.account


@pytest.mark.parametrize(
    "signed",
    ["", "x", "a:b:c", "\0", "x" * 5_000, "../../etc/passwd", "ä:ö:ü"],
)
def test_link_that_nobody_signed_is_unknown(now: datetime, signed: str) -> None:
    with pytest.raises(InvitationRefused, match="damaged"):
        invitations.find(signed, by=VISITOR, at=now)


@pytest.mark.parametrize("inside", [None, 7, [1], [1, 2, 3], [None, None], {"a": 1}])
def test_signed_nonsense_is_unknown_too(now: datetime, inside: object) -> None:
    with pytest.raises(InvitationRefused, match="damaged"):
        invitations.find(signing.dumps(inside, salt=invitations.SALT), by=VISITOR, at=now)


def test_signature_for_another_purpose_opens_nothing(
    administrator: Membership, now: datetime
) -> None:
    invitation = invite(administrator, now)
    signed = signing.dumps([invitation.pk, invitation.nonce], salt="another purpose")
    with pytest.raises(InvitationRefused, match="damaged"):
        invitations.find(signed, by=VISITOR, at=now)


def test_signature_tells_one_invitation_from_another(
    administrator: Membership, now: datetime
) -> None:
    mine, other = invite(administrator, now), invite(administrator, now, email="b@example.com")
    swapped = signing.dumps([other.pk, mine.nonce], salt=invitations.SALT)
    with pytest.raises(InvitationRefused):
        invitations.find(swapped, by=VISITOR, at=now)
