"""A forgotten password, and another one."""

from datetime import datetime
from typing import Any

import pytest
from allauth.account.utils import user_pk_to_url_str
from django.test import Client
from pytest_django import Settings
from time_machine import TimeMachineFixture

from accounts.models import AuditEvent, Membership, TokenFamily
from notifications.models import Mail
from tests.accounts.sign_in.parallel import at_once
from tests.factories import ACCOUNT_ID, PASSWORD
from tests.outbox import mail_to, mails_to, path_in

pytestmark = pytest.mark.django_db

FORGOTTEN = "/password/forgotten/"
SENT = "/password/forgotten/sent/"
CHANGE = "/profile/security/password/"
LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
OTHER = "another long password"


def ask(client: Client, email: str) -> Any:
    return client.post(FORGOTTEN, {"email": email})


def open_link(client: Client, email: str) -> str:
    """The form that the newest mail leads to."""
    return str(client.get(path_in(mail_to(email)))["Location"])


def set_password(client: Client, path: str, password: str = OTHER) -> Any:
    return client.post(path, {"password1": password, "password2": password})


def sign_in(client: Client, email: str, password: str) -> bool:
    client.post("/sign-in/", {"login": email, "password": password})
    return client.get(LIST).status_code == 200


def change(client: Client, old: str = PASSWORD, new: str = OTHER) -> Any:
    return client.post(CHANGE, {"oldpassword": old, "password1": new, "password2": new})


def make_family(member: Membership, at: datetime) -> TokenFamily:
    return TokenFamily.objects.create(
        user=member.user, membership=member, created_at=at, expires_at=at.replace(year=at.year + 1)
    )


def test_link_in_the_mail_sets_another_password(client: Client, user: Membership) -> None:
    ask(client, user.user.email.upper())
    answer = set_password(client, open_link(client, user.user.email))
    assert (answer.status_code, answer["Location"]) == (302, "/password/new/done/")
    assert sign_in(Client(), user.user.email, OTHER)
    assert not sign_in(Client(), user.user.email, PASSWORD)


def test_new_password_alone_signs_nobody_in(client: Client, user: Membership) -> None:
    ask(client, user.user.email)
    set_password(client, open_link(client, user.user.email))
    assert client.get(LIST).status_code == 302


def test_key_leaves_the_address_bar(client: Client, user: Membership) -> None:
    ask(client, user.user.email)
    path = path_in(mail_to(user.user.email))
    assert client.get(path)["Location"].endswith("-set-password/")


def test_link_is_good_once(client: Client, user: Membership) -> None:
    ask(client, user.user.email)
    path = path_in(mail_to(user.user.email))
    form = client.get(path)["Location"]
    set_password(client, form)
    answers = [Client().get(path), client.get(form), set_password(client, form)]
    assert [answer.status_code for answer in answers] == [410] * 3
    assert all("no longer valid" in answer.content.decode() for answer in answers)


@pytest.mark.both
@pytest.mark.django_db(transaction=True)
def test_link_that_is_used_many_times_at_once_sets_one_password(user: Membership) -> None:
    ask(Client(), user.user.email)
    path = path_in(mail_to(user.user.email))
    browsers = iter([(each, each.get(path)["Location"]) for each in (Client(), Client(), Client())])

    statuses = at_once(lambda: set_password(*next(browsers)).status_code, times=3)

    assert sorted(statuses) == [302, 410, 410]
    assert AuditEvent.objects.filter(kind="user.password_set").count() == 1


def test_link_is_good_for_an_hour(
    client: Client, user: Membership, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to("2026-03-01T12:00:00Z", tick=False)
    ask(client, user.user.email)
    path = path_in(mail_to(user.user.email))
    time_machine.move_to("2026-03-01T13:00:01Z", tick=False)
    assert "no longer valid" in client.get(path).content.decode()


def test_older_link_dies_with_a_change_of_password(client: Client, user: Membership) -> None:
    ask(Client(), user.user.email)
    path = path_in(mail_to(user.user.email))
    sign_in(client, user.user.email, PASSWORD)
    change(client)
    assert "no longer valid" in Client().get(path).content.decode()


def test_unknown_address_is_answered_like_a_known_one(user: Membership) -> None:
    known, unknown = ask(Client(), user.user.email), ask(Client(), "nobody@example.com")
    assert (known.status_code, known["Location"]) == (302, SENT)
    assert (unknown.status_code, unknown["Location"]) == (302, SENT)
    assert Mail.objects.count() == 1


def test_both_leave_an_event(user: Membership) -> None:
    ask(Client(), user.user.email)
    ask(Client(), "nobody@example.com")
    events = AuditEvent.objects.filter(kind="password.reset_requested").order_by("pk")
    assert [event.subject_id for event in events] == [user.user.pk, None]
    assert "nobody" not in str(events[1].details)


def test_switched_off_person_gets_no_link(user: Membership) -> None:
    user.user.is_active = False
    user.user.save()
    ask(Client(), user.user.email)
    assert not Mail.objects.exists()


def test_person_switched_off_meanwhile_gets_no_link(user: Membership) -> None:
    ask(Client(), user.user.email)
    user.user.is_active = False
    user.user.save()
    assert not mails_to(user.user.email)


def test_link_goes_to_the_configured_address_whatever_host_is_asked(
    client: Client, user: Membership, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    client.post(
        FORGOTTEN,
        {"email": user.user.email},
        HTTP_HOST="evil.example",
        HTTP_X_FORWARDED_HOST="evil.example",
    )
    mail = mail_to(user.user.email)
    assert path_in(mail).startswith("/password/new/")
    assert "evil.example" not in mail.text + mail.html


def test_no_key_waits_in_the_database(user: Membership) -> None:
    ask(Client(), user.user.email)
    assert Mail.objects.get().facts == {}


def test_one_address_is_written_to_only_so_often(user: Membership) -> None:
    answers = [ask(Client(), user.user.email).status_code for _try in range(5)]
    assert answers == [302, 302, 302, 429, 429]
    assert Mail.objects.count() == 3


def test_unknown_address_is_limited_alike() -> None:
    answers = [ask(Client(), "nobody@example.com").status_code for _try in range(5)]
    assert answers == [302, 302, 302, 429, 429]


def test_person_is_told_of_a_new_password(client: Client, user: Membership) -> None:
    ask(client, user.user.email)
    set_password(client, open_link(client, user.user.email))
    assert mail_to(user.user.email).subject == "Your password was reset"


def test_new_password_ends_sessions_and_short_lived_tokens(
    client: Client, user: Membership, now: datetime
) -> None:
    family = make_family(user, now)
    elsewhere = Client()
    sign_in(elsewhere, user.user.email, PASSWORD)
    ask(client, user.user.email)
    set_password(client, open_link(client, user.user.email))
    assert elsewhere.get(LIST).status_code == 302
    family.refresh_from_db()
    assert family.ended_at is not None


def test_person_changes_the_password(client: Client, user: Membership) -> None:
    sign_in(client, user.user.email, PASSWORD)
    assert change(client)["Location"] == CHANGE
    assert sign_in(Client(), user.user.email, OTHER)


def test_change_ends_the_other_sessions_and_not_this_one(client: Client, user: Membership) -> None:
    elsewhere = Client()
    sign_in(elsewhere, user.user.email, PASSWORD)
    sign_in(client, user.user.email, PASSWORD)
    change(client)
    assert client.get(LIST).status_code == 200
    assert elsewhere.get(LIST).status_code == 302


def test_change_ends_short_lived_tokens(client: Client, user: Membership, now: datetime) -> None:
    family = make_family(user, now)
    sign_in(client, user.user.email, PASSWORD)
    change(client)
    family.refresh_from_db()
    assert (family.ended_at is None, family.ended_why) == (False, "password")


def test_change_leaves_an_event_and_a_mail(client: Client, user: Membership) -> None:
    sign_in(client, user.user.email, PASSWORD)
    change(client)
    assert AuditEvent.objects.filter(kind="user.password_set", user=user.user).count() == 1
    mail = mail_to(user.user.email)
    assert mail.subject == "Your password was changed"
    assert "127.0.0.1" in mail.text


@pytest.mark.parametrize(
    ("old", "new"), [("wrong", OTHER), ("", OTHER), (PASSWORD, "short"), (PASSWORD, "")]
)
def test_bad_change_changes_nothing(client: Client, user: Membership, old: str, new: str) -> None:
    sign_in(client, user.user.email, PASSWORD)
    assert "to continue" in change(client, old, new).content.decode()
    user.user.refresh_from_db()
    assert user.user.check_password(PASSWORD)


def test_present_password_cannot_be_guessed_in_an_open_browser(
    client: Client, user: Membership
) -> None:
    sign_in(client, user.user.email, PASSWORD)
    answers = [change(client, f"guess {number}").status_code for number in range(7)]
    assert answers[-1] == 429


def test_who_has_tried_too_often_is_told_when_to_come_back(client: Client) -> None:
    answers = [ask(client, "nobody@example.com") for _try in range(4)]
    assert answers[-1].status_code == 429
    assert 14 * 60 < int(answers[-1]["Retry-After"]) <= 15 * 60


def test_strangers_change_nothing(client: Client) -> None:
    assert change(client)["Location"].startswith("/sign-in/")


def test_forged_keys_are_refused(client: Client, administrator: Membership) -> None:
    for path in (
        "/password/new/1-abc/",
        "/password/new/zzzzzz-abc-0/",
        "/password/new/1-set-password/",
    ):
        answer = client.get(path)
        assert answer.status_code == 410
        assert "password1" not in answer.content.decode()


def test_link_of_one_person_sets_no_password_of_another(
    client: Client, user: Membership, administrator: Membership
) -> None:
    ask(client, user.user.email)
    own, other = (user_pk_to_url_str(each.user) for each in (user, administrator))
    forged = path_in(mail_to(user.user.email)).replace(own, other)
    assert "no longer valid" in client.get(forged).content.decode()
