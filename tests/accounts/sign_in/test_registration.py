"""Signing up: an account with its first Administrator, whose address is confirmed first."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from time_machine import TimeMachineFixture

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from accounts.roles import Role
from notifications.models import Mail
from tests.accounts.sign_in.parallel import at_once
from tests.factories import PASSWORD
from tests.hashers import CheapArgon2
from tests.outbox import mail_to, mails_to, path_in

pytestmark = pytest.mark.django_db

URL = "/sign-up/"
SENT = "/sign-up/sent/"
HOME = "/"
ANN = "ann@example.com"


def sign_up(client: Client, email: str = ANN, **more: str) -> Any:
    form = {"account_name": "Globex", "name": "Ann", "email": email, "password1": PASSWORD}
    return client.post(URL, {**form, **more})


def is_signed_in(client: Client) -> bool:
    return str(client.get(HOME)["Location"]).startswith("/accounts/")


def sign_in(client: Client, email: str = ANN) -> Any:
    return client.post("/sign-in/", {"login": email, "password": PASSWORD})


def test_signing_up_opens_an_account_with_its_first_administrator(client: Client) -> None:
    answer = sign_up(client)
    assert (answer.status_code, answer["Location"]) == (302, SENT)
    member = Membership.objects.get()
    assert (member.account.name, member.user.email, member.role) == (
        "Globex",
        ANN,
        Role.ADMINISTRATORS,
    )


@pytest.mark.parametrize(
    ("told", "kept"),
    [("Asia/Baku", "Asia/Baku"), ("Moon/Base", "UTC"), ("\x00", "UTC"), ("", "UTC")],
)
def test_times_are_told_in_the_zone_of_the_browser(client: Client, told: str, kept: str) -> None:
    assert sign_up(client, time_zone=told).status_code == 302
    assert User.objects.get().time_zone == kept


def test_events_tell_of_the_sign_up(client: Client) -> None:
    sign_up(client)
    kinds = set(AuditEvent.objects.values_list("kind", flat=True))
    assert {"user.signed_up", "account.opened", "member.added"} <= kinds


def test_nobody_is_let_in_before_the_address_is_confirmed(client: Client) -> None:
    sign_up(client)
    assert not is_signed_in(client)
    assert sign_in(Client())["Location"] == SENT


def test_link_confirms_the_address_and_lets_the_browser_in_that_signed_up(client: Client) -> None:
    sign_up(client)
    path = path_in(mail_to(ANN))
    answer = client.post(path)
    assert (answer.status_code, answer["Location"]) == (302, HOME)
    assert is_signed_in(client)


def test_link_lets_no_other_browser_in(client: Client) -> None:
    sign_up(client)
    other = Client()
    other.post(path_in(mail_to(ANN)))
    assert not is_signed_in(other)
    sign_in(other)
    assert is_signed_in(other)


def test_opening_the_link_alone_confirms_nothing(client: Client) -> None:
    sign_up(client)
    client.get(path_in(mail_to(ANN)))
    assert sign_in(Client())["Location"] == SENT


def test_link_is_good_once(client: Client) -> None:
    sign_up(client)
    path = path_in(mail_to(ANN))
    client.post(path)
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 410
        assert "no longer valid" in answer.content.decode()


def test_link_is_not_good_for_ever(client: Client, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to("2026-03-01T12:00:00Z", tick=False)
    sign_up(client)
    path = path_in(mail_to(ANN))
    time_machine.move_to("2026-03-02T12:00:01Z", tick=False)
    assert client.post(path).status_code == 410
    assert sign_in(Client())["Location"] == SENT


def test_forged_link_confirms_nothing(client: Client) -> None:
    sign_up(client)
    assert client.post("/sign-up/confirm/Mg:1xVdK7:forged/").status_code == 410
    assert sign_in(Client())["Location"] == SENT


def test_links_go_to_the_configured_address_whatever_host_is_asked(
    client: Client, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    client.post(
        URL,
        {"account_name": "Globex", "email": ANN, "password1": PASSWORD},
        HTTP_HOST="evil.example",
        HTTP_X_FORWARDED_HOST="evil.example",
    )
    mail = mail_to(ANN)
    assert path_in(mail)
    assert "evil.example" not in mail.text + mail.html


def test_known_address_is_answered_like_an_unknown_one(client: Client, user: Membership) -> None:
    known = sign_up(Client(), user.user.email)
    unknown = sign_up(Client())
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert set(known.cookies) == set(unknown.cookies)


def test_known_address_makes_no_second_user_and_no_account(user: Membership) -> None:
    sign_up(Client(), user.user.email.upper(), password1="another long password")
    assert User.objects.count() == 1
    assert Account.objects.count() == 1
    user.user.refresh_from_db()
    assert user.user.check_password(PASSWORD)


def test_person_is_told_that_their_address_was_used_again(user: Membership) -> None:
    sign_up(Client(), user.user.email)
    mail = mail_to(user.user.email)
    assert mail.subject == "You are already registered"
    assert path_in(mail) == "/password/forgotten/"


def test_known_address_takes_as_long_as_an_unknown_one(
    user: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    encode = CheapArgon2.encode

    def count(self: CheapArgon2, password: str, salt: str) -> str:
        hashed.append(password)
        return str(encode(self, password, salt))

    monkeypatch.setattr(CheapArgon2, "encode", count)
    sign_up(Client())
    for_unknown = len(hashed)
    hashed.clear()
    sign_up(Client(), user.user.email)
    assert for_unknown == len(hashed) == 1


def test_names_of_strangers_are_not_repeated_in_the_mail(client: Client) -> None:
    sign_up(client, name="You have won", account_name="The big prize")
    mail = mail_to(ANN)
    for words in ("You have won", "The big prize"):
        assert words not in mail.subject + mail.text + mail.html


def test_owner_of_an_impersonated_address_takes_it_back(client: Client) -> None:
    sign_up(client, password1="the password of a stranger")
    owner = Client()
    owner.post("/password/forgotten/", {"email": ANN})
    path = owner.get(path_in(mail_to(ANN)))["Location"]
    owner.post(path, {"name": "Nora", "password1": PASSWORD, "password2": PASSWORD})
    sign_in(owner)
    assert is_signed_in(owner)
    stranger = {"login": ANN, "password": "the password of a stranger"}
    client.post("/sign-in/", stranger)
    assert not is_signed_in(client)


@pytest.fixture
def ann_is_invited(administrator: Membership, now: datetime) -> Invitation:
    return invitations.invite(
        account=administrator.account,
        email=ANN,
        role=Role.USERS,
        by=Actor.member(administrator),
        at=now,
    )


def test_invitation_keeps_nobody_from_an_account_of_their_own(
    client: Client, ann_is_invited: Invitation
) -> None:
    sign_up(client)
    client.post(path_in(mail_to(ANN)))
    assert is_signed_in(client)
    member = Membership.objects.get(user__email=ANN)
    assert (member.account.name, member.held_role) == ("Globex", Role.ADMINISTRATORS)
    assert member.user_id == ann_is_invited.user_id


def test_invited_person_is_let_in_by_no_password_that_a_stranger_signs_up_with(
    client: Client, ann_is_invited: Invitation
) -> None:
    sign_up(client, password1="the password of a stranger")
    invitation = next(path_in(each) for each in mails_to(ANN) if "Invitation" in each.subject)
    Client().post(invitation, {"name": "Nora", "password1": PASSWORD})
    client.post("/sign-in/", {"login": ANN, "password": "the password of a stranger"})
    assert not is_signed_in(client)


def test_address_is_signed_up_with_once_however_often_it_is_tried(
    ann_is_invited: Invitation,
) -> None:
    sign_up(Client())
    sign_up(Client(), account_name="Once more", password1="the password of a stranger")
    assert Membership.objects.get(user__email=ANN).account.name == "Globex"
    assert User.objects.get(email=ANN).check_password(PASSWORD)


def test_invited_person_who_was_switched_off_is_not_signed_up(
    client: Client, ann_is_invited: Invitation
) -> None:
    User.objects.filter(email=ANN).update(is_active=False)
    sign_up(client)
    assert not Membership.objects.filter(user__email=ANN).exists()


def test_closed_portal_takes_nobody(client: Client, settings: Settings) -> None:
    settings.SIGN_UP = "closed"
    assert "By invitation only" in client.get(URL).content.decode()
    assert "By invitation only" in sign_up(client).content.decode()
    assert not User.objects.exists()
    assert URL not in client.get("/sign-in/").content.decode()


def test_open_portal_offers_to_sign_up(client: Client) -> None:
    assert URL in client.get("/sign-in/").content.decode()


def test_another_mail_is_sent_when_signing_in_later(
    client: Client, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to("2026-03-01T12:00:00Z")
    sign_up(client)
    sign_in(Client())
    assert len(mails_to(ANN)) == 1
    time_machine.move_to("2026-03-01T12:04:00Z")
    sign_in(Client())
    assert len(mails_to(ANN)) == 2


def test_one_address_signs_up_only_so_often(client: Client) -> None:
    answers = [sign_up(client, f"person{number}@example.net") for number in range(12)]
    assert [answer.status_code for answer in answers] == [302] * 10 + [429] * 2
    assert User.objects.count() == 10


BAD: list[dict[str, str]] = [
    {"email": ""},
    {"email": "no address"},
    {"email": "аnn@example.com"},  # a Cyrillic mail
    {"email": "ann@exämple.com"},
    {"email": "a\0nn@example.com"},
    {"email": "ann@example.com\r\nBcc: all@example.com"},
    {"email": f"{'a' * 250}@example.com"},
    {"account_name": ""},
    {"account_name": "   "},
    {"account_name": "x" * 151},
    {"account_name": "two\nlines"},
    {"account_name": "\u202eevil"},
    {"name": "x" * 151},
    {"name": "a\0b"},
    {"password1": ""},
    {"password1": "short"},
    {"password1": "password1234"},
    {"password1": ANN},
    {"password1": "1" * 3 + "\0"},
]


@pytest.mark.parametrize("field", BAD, ids=lambda field: repr(field)[:40])
def test_bad_form_is_told_and_makes_nothing(client: Client, field: dict[str, str]) -> None:
    answer = sign_up(client, **field)
    assert "to continue" in answer.content.decode()
    assert not User.objects.exists()
    assert not Account.objects.exists()
    assert not Mail.objects.exists()


def test_each_empty_field_says_what_to_enter(client: Client) -> None:
    page = sign_up(client, account_name="", email="", password1="").content.decode()
    for sentence in ("Enter the company name.", "Enter an email address.", "Enter a passw"):
        assert sentence in page
    assert "This field is required." not in page


def test_password_is_not_sent_back(client: Client) -> None:
    answer = sign_up(client, email="no address")
    assert PASSWORD not in answer.content.decode()


def test_form_of_another_site_is_refused() -> None:
    assert sign_up(Client(enforce_csrf_checks=True)).status_code == 403


@pytest.mark.both
@pytest.mark.django_db(transaction=True)
def test_link_that_is_sent_many_times_at_once_confirms_once(client: Client) -> None:
    sign_up(client)
    path = path_in(mail_to(ANN))

    statuses = at_once(lambda: Client().post(path).status_code)

    assert sorted(statuses) == [302, *[410] * (len(statuses) - 1)]
    assert AuditEvent.objects.filter(kind="email.confirmed").count() == 1
