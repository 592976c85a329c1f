"""Profile → All users: who sees whom, and the ways to invite, change a role and remove."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import AuditEvent, Invitation, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from notifications.models import Mail
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory
from tests.questions import hidden_fields

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/users/"
INVITE = f"{LIST}invite/"
FORM = {"email": "new@example.com", "name": "Ada", "language": "en", "role": str(Role.ENGINEERS)}


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in_now: SignIn) -> Client:
    """The browser of an Administrator who has just signed in."""
    sign_in_now(client, administrator)
    return client


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def names(answer: Any) -> list[str]:
    return [row.member.user.email for row in answer.context["rows"]]


def role_url(member: Membership) -> str:
    return f"{LIST}{member.user_id}/role/"


def removal_url(member: Membership) -> str:
    return f"{LIST}{member.user_id}/remove/"


def is_present(member: Membership) -> bool:
    return Membership.objects.present().filter(pk=member.pk).exists()


# --- The list ----------------------------------------------------------------------------------


def test_administrators_see_all_of_their_account_and_nobody_else(
    browser: Client, administrator: Membership, user: Membership, stranger: Membership
) -> None:
    assert sorted(names(browser.get(LIST))) == sorted([administrator.user.email, user.user.email])


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATORS])
def test_others_see_only_themselves(
    client: Client, administrator: Membership, sign_in: SignIn, now: datetime, role: Role
) -> None:
    invitation = invited(administrator, now)
    member = MembershipFactory.create(account=administrator.account, role=role)
    sign_in(client, member)
    answer = client.get(LIST)
    assert names(answer) == [member.user.email]
    assert invitation.email not in answer.content.decode()
    assert "Invite a user" not in text(answer)
    assert names(client.get(LIST, {"q": administrator.user.email})) == []


def test_removed_people_are_not_listed(
    browser: Client, administrator: Membership, now: datetime
) -> None:
    MembershipFactory.create(account=administrator.account, removed_at=now)
    assert names(browser.get(LIST)) == [administrator.user.email]


def test_who_is_switched_off_is_listed_as_such(browser: Client, user: Membership) -> None:
    user.user.is_active = False
    user.user.save()
    assert "Deactivated" in text(browser.get(LIST))


@pytest.mark.both
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"signs_in_by": "sso"}, ["ada@example.com"]),
        ({"signs_in_by": "other"}, ["charles@babbage.example"]),
        ({"signs_in_by": "sso", "q": "charles"}, []),
        ({"signs_in_by": "magic"}, []),
    ],
)
def test_people_are_found_by_how_they_sign_in(
    browser: Client,
    administrator: Membership,
    now: datetime,
    query: dict[str, str],
    found: list[str],
) -> None:
    account = administrator.account
    MembershipFactory.create(account=account, user__email="ada@example.com", sso_at=now)
    MembershipFactory.create(account=account, user__email="charles@babbage.example")
    listed = names(browser.get(LIST, query))
    assert [email for email in listed if email != administrator.user.email] == found


def test_administrators_see_the_last_sign_in_through_the_provider(
    browser: Client, user: Membership, now: datetime
) -> None:
    assert "Last sign-in through the provider" not in text(browser.get(LIST))
    Membership.objects.filter(pk=user.pk).update(
        sso_at=datetime.fromisoformat("2026-03-04T05:06:07Z")
    )
    answer = browser.get(LIST)
    assert "Password, Single sign-on" in text(answer)
    assert "2026-03-04 05:06:07 UTC" in answer.content.decode()


def test_whose_tokens_are_suspended_is_marked(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    Membership.objects.filter(pk=user.pk).update(sso_at=now)
    assert "Suspended" not in text(browser.get(LIST))
    Membership.objects.filter(pk=user.pk).update(tokens_suspended_at=now)
    assert "Suspended" in text(browser.get(LIST))


@pytest.mark.both
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "ADA"}, ["ada@example.com"]),
        ({"q": "babbage.example"}, ["charles@babbage.example"]),
        ({"q": "nobody"}, []),
        ({"role": "5"}, ["charles@babbage.example"]),
        ({"role": "5", "q": "ada"}, []),
        ({"q": "%"}, []),
        ({"q": "\0"}, []),
        ({"role": "7"}, []),
        ({"role": "x"}, []),
        ({"q": "x" * 256}, []),
    ],
)
def test_people_are_found_by_name_address_and_role(
    browser: Client, administrator: Membership, query: dict[str, str], found: list[str]
) -> None:
    account = administrator.account
    ada, charles = "ada@example.com", "charles@babbage.example"
    MembershipFactory.create(account=account, user__name="Ada", user__email=ada, role=Role.USERS)
    MembershipFactory.create(
        account=account, user__name="Charles", user__email=charles, role=Role.ENGINEERS
    )
    assert names(browser.get(LIST, query)) == found


@pytest.mark.both
def test_pages_of_ten_hold_everybody_once(browser: Client, administrator: Membership) -> None:
    MembershipFactory.create_batch(24, account=administrator.account)
    pages = [names(browser.get(LIST, {"page_size": 10, "page": page})) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert len({name for page in pages for name in page}) == 25


@pytest.mark.both
def test_list_costs_the_same_for_any_number_of_people(
    browser: Client,
    administrator: Membership,
    issue: Issue,
    now: datetime,
    settings: Settings,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    settings.INVITATIONS_PER_DAY = 100
    for number in range(10):
        issue(MembershipFactory.create(account=administrator.account))
        invited(administrator, now, email=f"p{number}@example.com")
    browser.get(LIST)
    with django_assert_num_queries(9):
        browser.get(LIST)


@pytest.mark.both
def test_row_tells_tokens_second_factors_and_last_sign_in(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    issue(user, at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    issue(MembershipFactory.create(user=user.user))  # in another account
    Authenticator.objects.create(user=user.user, type=Authenticator.Type.TOTP, data={})
    user.user.last_login = now
    user.user.save()
    rows = browser.get(LIST).context["rows"]
    row = next(row for row in rows if row.member == user)
    assert (row.tokens, row.has_two_factors, row.last_sign_in) == (1, True, now)
    assert row.signs_in_by == ["Password"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"two_factor": "on"}, ["ada@example.com"]),
        ({"two_factor": "off"}, ["charles@babbage.example"]),
        ({"two_factor": "off", "q": "ada"}, []),
        ({"two_factor": "maybe"}, []),
    ],
)
def test_people_are_found_by_their_second_factor(
    browser: Client, administrator: Membership, query: dict[str, str], found: list[str]
) -> None:
    account = administrator.account
    secured = MembershipFactory.create(account=account, user__email="ada@example.com").user
    Authenticator.objects.create(user=secured, type=Authenticator.Type.TOTP, data={})
    open_one = MembershipFactory.create(account=account, user__email="charles@babbage.example").user
    Authenticator.objects.create(
        user=open_one, type=Authenticator.Type.RECOVERY_CODES, data={}
    )  # alone no factor
    listed = names(browser.get(LIST, query))
    assert [email for email in listed if email != administrator.user.email] == found


def test_menu_of_a_person_leads_to_what_they_did(
    browser: Client, client: Client, user: Membership, sign_in_now: SignIn
) -> None:
    activity = f"/accounts/{ACCOUNT_ID}/audit-log/?person={user.user_id}"
    assert activity in browser.get(LIST).content.decode()
    assert browser.get(activity).context["form"].cleaned_data["person"] == user
    sign_in_now(client, user)
    assert activity not in client.get(LIST).content.decode()


def test_recovery_codes_alone_are_no_second_factor(browser: Client, user: Membership) -> None:
    Authenticator.objects.create(user=user.user, type=Authenticator.Type.RECOVERY_CODES, data={})
    rows = browser.get(LIST).context["rows"]
    assert not any(row.has_two_factors for row in rows)


def test_sign_ins_before_the_membership_are_not_shown(
    browser: Client, user: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=user.pk).update(created_at=now)
    user.user.last_login = now - timedelta(days=1)
    user.user.save()
    rows = browser.get(LIST).context["rows"]
    assert next(row for row in rows if row.member == user).last_sign_in is None


def test_names_are_shown_as_text(browser: Client, administrator: Membership) -> None:
    MembershipFactory.create(account=administrator.account, user__name="<script>x</script>")
    assert "<script>x" not in browser.get(LIST).content.decode()


# --- Inviting ----------------------------------------------------------------------------------


def invited(administrator: Membership, at: datetime, email: str = "new@example.com") -> Invitation:
    return invitations.invite(
        account=administrator.account,
        email=email,
        role=Role.USERS,
        by=Actor.member(administrator),
        at=at,
    )


def test_administrator_invites_and_sees_the_invitation(browser: Client) -> None:
    answer = browser.post(INVITE, FORM, follow=True)
    assert "An invitation has been sent to new@example.com" in text(answer)
    assert [row.invitation.email for row in answer.context["invitations"]] == ["new@example.com"]
    assert Mail.objects.get(kind="invitation").user.email == "new@example.com"
    assert Invitation.objects.get().given_role is Role.ENGINEERS


@pytest.mark.parametrize(
    "change",
    [
        {"email": ""},
        {"email": "x"},
        {"email": "а@example.com"},
        {"email": "a@example.com\0"},
        {"email": "x" * 100_000},
        {"name": "\0"},
        {"name": "a\u202eb"},
        {"name": "n" * 151},
        {"language": "xx"},
        {"language": ""},
        {"role": ""},
        {"role": "7"},
        {"role": "Administrators"},
        {"role": "\0"},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_bad_field_is_told_and_invites_nobody(browser: Client, change: dict[str, str]) -> None:
    answer = browser.post(INVITE, {**FORM, **change})
    assert answer.status_code == 400
    assert "Fix one problem" in text(answer)
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("missing", ["email", "language", "role"])
def test_missing_field_is_told(browser: Client, missing: str) -> None:
    form = {name: value for name, value in FORM.items() if name != missing}
    assert browser.post(INVITE, form).status_code == 400


def test_sixth_invitation_of_a_day_is_told(
    browser: Client, administrator: Membership, now: datetime
) -> None:
    for number in range(5):
        invited(administrator, now, email=f"p{number}@example.com")
    answer = browser.post(INVITE, FORM)
    assert answer.status_code == 400
    assert "can invite up to 5 people in 24 hours" in text(answer)


def test_answer_is_the_same_for_known_and_unknown_addresses(
    browser: Client, stranger: Membership
) -> None:
    said = [
        text(browser.post(INVITE, {**FORM, "email": email}, follow=True)).replace(email, "…")
        for email in ("unknown@example.com", stranger.user.email)
    ]
    only_the_first = said[1].replace("… Ada Engineers", "", 1)
    assert stranger.user.name not in said[1]
    assert said[0].split("Pending invitations")[0] == only_the_first.split("Pending invitations")[0]


def test_others_do_not_invite(
    client: Client, user: Membership, sign_in: SignIn, now: datetime
) -> None:
    sign_in(client, user)
    assert client.get(INVITE).status_code == 403
    assert client.post(INVITE, FORM).status_code == 403
    assert not Invitation.objects.exists()


def test_invitation_is_sent_again(
    browser: Client, administrator: Membership, now: datetime
) -> None:
    invitation = invited(administrator, now)
    answer = browser.post(f"{LIST}invitations/{invitation.pk}/send/", follow=True)
    assert "has been resent to new@example.com" in text(answer)
    assert Mail.objects.filter(kind="invitation").count() == 2


def test_invitation_is_withdrawn(browser: Client, administrator: Membership, now: datetime) -> None:
    invitation = invited(administrator, now)
    answer = browser.post(f"{LIST}invitations/{invitation.pk}/withdraw/", follow=True)
    assert "was withdrawn" in text(answer)
    assert not Invitation.objects.open().exists()


@pytest.mark.parametrize("act", ["send", "withdraw"])
def test_invitation_that_a_colleague_has_sent_again_stays_as_it_is(
    browser: Client, administrator: Membership, now: datetime, act: str
) -> None:
    invitation = invited(administrator, now)
    address = f"{LIST}invitations/{invitation.pk}/{act}/"
    opened = hidden_fields(browser, LIST, to=address)
    by, later = Actor.member(administrator), now + timedelta(hours=1)
    invitations.send_again(invitation=invitation, by=by, at=later)

    answer = browser.post(address, opened, follow=True)

    assert "This was changed after you opened the page" in text(answer)
    assert Invitation.objects.open().get().times_sent == 2
    browser.post(address, hidden_fields(browser, LIST, to=address))
    assert not Invitation.objects.open().filter(times_sent=2).exists()


@pytest.mark.parametrize("act", ["send", "withdraw"])
def test_invitations_of_others_are_not_there(
    client: Client,
    administrator: Membership,
    user: Membership,
    stranger: Membership,
    sign_in: SignIn,
    now: datetime,
    act: str,
) -> None:
    url = f"{LIST}invitations/{invited(administrator, now).pk}/{act}/"
    for member in (user, stranger):
        sign_in(client, member)
        assert client.post(url).status_code == 404
        assert client.get(url).status_code == 405
    assert Invitation.objects.open().count() == 1
    assert Mail.objects.filter(kind="invitation").count() == 1


def test_late_link_is_marked(browser: Client, administrator: Membership, now: datetime) -> None:
    invited(administrator, now - timedelta(hours=25))
    assert "Expired" in text(browser.get(LIST))


# --- Roles -------------------------------------------------------------------------------------


def test_administrator_changes_a_role(browser: Client, user: Membership) -> None:
    answer = browser.post(role_url(user), {"role": str(Role.ENGINEERS)}, follow=True)
    assert "now has the role Engineers" in text(answer)
    user.refresh_from_db()
    assert user.held_role is Role.ENGINEERS


def test_refusal_is_told_word_for_word(browser: Client, engineer: Membership, issue: Issue) -> None:
    issue(engineer, role=Role.ENGINEERS)
    answer = browser.post(role_url(engineer), {"role": str(Role.USERS)})
    assert answer.status_code == 400
    assert (
        "The specified user has issued a token with a higher role. Try using another role."
        in text(answer)
    )
    engineer.refresh_from_db()
    assert engineer.held_role is Role.ENGINEERS


def test_last_administrator_cannot_step_down(browser: Client, administrator: Membership) -> None:
    answer = browser.post(role_url(administrator), {"role": str(Role.USERS)})
    assert answer.status_code == 400
    assert "This is the account's last Administrator" in text(answer)


@pytest.mark.both
@pytest.mark.parametrize("role", ["", "7", "Users", "\0", "9" * 30])
def test_role_that_does_not_exist_is_refused(browser: Client, user: Membership, role: str) -> None:
    assert browser.post(role_url(user), {"role": role}).status_code == 400
    user.refresh_from_db()
    assert user.held_role is Role.USERS


def test_others_change_no_role_not_even_their_own(
    client: Client, user: Membership, administrator: Membership, sign_in: SignIn
) -> None:
    sign_in(client, user)
    for member in (user, administrator):
        assert client.get(role_url(member)).status_code == 403
        answer = client.post(role_url(member), {"role": str(Role.ADMINISTRATORS)})
        assert answer.status_code == 403
    user.refresh_from_db()
    assert user.held_role is Role.USERS


@pytest.mark.parametrize("page", ["role", "remove"])
def test_people_of_other_accounts_are_not_there(
    browser: Client, stranger: Membership, page: str
) -> None:
    nobody = 99_999_999_999_999_999_999_999
    for user_id in (stranger.user_id, 0, nobody):
        url = f"{LIST}{user_id}/{page}/"
        assert browser.get(url).status_code == 404
        assert browser.post(url, {"role": "2", "delete_tokens": "on"}).status_code == 404
    assert is_present(stranger)


# --- Removing ----------------------------------------------------------------------------------


def test_question_alone_removes_nobody(browser: Client, user: Membership) -> None:
    assert user.user.email in text(browser.get(removal_url(user)))
    assert is_present(user)


def test_answer_removes_the_user(browser: Client, user: Membership) -> None:
    assert "was removed" in text(browser.post(removal_url(user), follow=True))
    assert not is_present(user)


def test_user_with_active_tokens_stays_unless_they_go_too(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token = issue(user).token
    assert "has 1 active API token" in text(browser.get(removal_url(user)))
    refused = browser.post(removal_url(user))
    assert refused.status_code == 403
    assert "You can't remove the user as they have active tokens" in text(refused)
    assert is_present(user)
    browser.post(removal_url(user), {"delete_tokens": "on"})
    assert not is_present(user)
    assert APIToken.objects.get(pk=token.pk).is_deleted


def test_removal_asks_who_signed_in_long_ago_to_sign_in_again(
    browser: Client, user: Membership, now: datetime
) -> None:
    with time_machine.travel(now + timedelta(minutes=6)):
        for answer in (browser.get(removal_url(user)), browser.post(removal_url(user))):
            assert answer.status_code == 302
            assert answer.headers["Location"].startswith("/sign-in/again/")
    assert is_present(user)


def test_others_remove_nobody(
    client: Client, user: Membership, engineer: Membership, sign_in_now: SignIn
) -> None:
    sign_in_now(client, user)
    for member in (user, engineer):
        assert client.get(removal_url(member)).status_code == 403
        assert client.post(removal_url(member)).status_code == 403
        assert is_present(member)


def test_removed_user_is_out_at_once(browser: Client, user: Membership, sign_in: SignIn) -> None:
    theirs = Client()
    sign_in(theirs, user)
    assert theirs.get(f"/accounts/{ACCOUNT_ID}/api-tokens/").status_code == 200
    browser.post(removal_url(user))
    assert theirs.get(f"/accounts/{ACCOUNT_ID}/api-tokens/").status_code == 404
    assert theirs.get("/profile/api-tokens/").status_code == 403


def test_each_deed_names_the_administrator_in_the_audit_log(
    browser: Client, administrator: Membership, user: Membership
) -> None:
    browser.post(INVITE, FORM)
    browser.post(role_url(user), {"role": str(Role.ENGINEERS)})
    browser.post(removal_url(user))
    events = AuditEvent.objects.filter(account=administrator.account, user=administrator.user)
    kinds = events.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["invitation.sent", "member.role_changed", "member.removed"]
