"""Contact addresses of service accounts: asked once, told only after they have agreed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.members import services as members
from accounts.members.contact_limits import QUESTIONS
from accounts.members.readers import address_of, readers_of
from accounts.models import Account, AuditEvent, ContactStatus, Membership, ServiceAccount, User
from accounts.roles import Role
from accounts.service_accounts import contacts, services
from notifications.models import Mail, Notice, Refusal
from tests.factories import AccountFactory, issue, service_account
from tests.outbox import mail_to, mails_to, path_in

pytestmark = [pytest.mark.django_db, pytest.mark.both]

OPS = "ops@stranger.example"
Make = Callable[..., ServiceAccount]


@pytest.fixture
def by(administrator: Membership) -> Actor:
    return Actor.member(administrator)


@pytest.fixture
def make(account: Account, by: Actor) -> Make:
    """`make(**facts)`: a service account whose contact, an address, has not answered yet."""

    def act(**facts: Any) -> ServiceAccount:
        wanted: dict[str, Any] = {"contact_email": OPS, "by": by, "at": timezone.now()}
        return service_account(account, agrees=False, **{**wanted, **facts})

    return act


def status(service_account: ServiceAccount) -> ContactStatus:
    service_account.refresh_from_db()
    return service_account.contact_status


def answer(client: Client, path: str, answer: str) -> Any:
    return client.post(path, {"answer": answer})


def test_address_is_asked_and_told_nothing_before_it_agrees(
    make: Make, by: Actor, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    deploys = make(issuers=[engineer])

    assert status(deploys) is ContactStatus.PENDING
    issue(deploys.membership, by=Actor.member(engineer), at=now)

    (question,) = mails_to(OPS)
    assert question.subject == "Confirm this address for notifications"
    assert not question.unsubscribe_url
    assert administrator.user_id in Notice.objects.values_list("user", flat=True)
    assert not any(reader.is_service_account for reader in readers_of(deploys.membership))


def test_address_that_agrees_is_told_from_then_on(
    client: Client, make: Make, engineer: Membership, now: datetime
) -> None:
    deploys = make(issuers=[engineer])
    path = path_in(mail_to(OPS))

    page = client.get(path).content.decode()
    assert OPS in page
    assert "Deploys" in page
    assert status(deploys) is ContactStatus.PENDING, "opening it changes nothing"
    assert "Address confirmed" in answer(client, path, "yes").content.decode()

    assert status(deploys) is ContactStatus.CONFIRMED
    assert OPS in map(address_of, readers_of(deploys.membership))
    issue(deploys.membership, by=Actor.member(engineer), name="Purge", at=now)
    assert "Purge" in mail_to(OPS).subject
    event = AuditEvent.objects.get(kind="service_account.contact_confirmed")
    assert (event.account_id, event.user, event.subject_id) == (
        *(deploys.account.pk, None, deploys.pk),
    )


def test_link_is_spent_by_its_success(client: Client, make: Make) -> None:
    deploys = make()
    path = path_in(mail_to(OPS))
    answer(client, path, "yes")

    assert client.get(path).status_code == 410
    assert answer(client, path, "no").status_code == 410
    assert status(deploys) is ContactStatus.CONFIRMED


def test_refusal_lasts_for_the_account_and_for_no_other(
    client: Client, make: Make, by: Actor, now: datetime
) -> None:
    deploys = make()
    path = path_in(mail_to(OPS))

    page = answer(client, path, "no").content.decode()

    assert "No notifications will be sent" in page
    assert status(deploys) is ContactStatus.DECLINED
    assert OPS not in str(vars(Refusal.objects.get()))
    for attempt in (
        lambda: contacts.ask_again(service_account=deploys, by=by, at=now),
        lambda: make(name="Another"),
    ):
        with pytest.raises(ValidationError):
            attempt()
    services.edit(service_account=deploys, changes={"contact_email": ""}, by=by, at=now)
    with pytest.raises(ValidationError, match="doesn't want"):
        services.edit(service_account=deploys, changes={"contact_email": OPS}, by=by, at=now)
    Mail.objects.all().delete()
    service_account(AccountFactory.create(), agrees=False, contact_email=OPS, at=now)
    assert len(mails_to(OPS)) == 1


def test_declined_contact_does_not_keep_the_service_account_from_being_edited(
    client: Client, make: Make, by: Actor, now: datetime
) -> None:
    deploys = make()
    answer(client, path_in(mail_to(OPS)), "no")

    edited = services.edit(
        service_account=deploys, changes={"name": "More", "contact_email": OPS}, by=by, at=now
    )

    assert edited.name == "More"


def test_one_answer_is_for_all_service_accounts_of_the_account(
    client: Client, make: Make, now: datetime
) -> None:
    first, second = make(name="First"), make(name="Second")
    paths = [path_in(mail) for mail in mails_to(OPS)]
    assert len(paths) == 2

    answer(client, paths[0], "yes")

    assert {status(first), status(second), status(make(name="Third"))} == {ContactStatus.CONFIRMED}
    assert client.get(paths[1]).status_code == 410
    elsewhere = service_account(AccountFactory.create(), agrees=False, contact_email=OPS, at=now)
    assert status(elsewhere) is ContactStatus.PENDING


def test_refusal_is_for_those_too_that_it_had_agreed_to(client: Client, make: Make) -> None:
    agreed, asked = make(name="First"), make(name="Second")
    path = path_in(mails_to(OPS)[1])
    ServiceAccount.objects.filter(pk=agreed.pk).update(confirmed_email=OPS)

    answer(client, path, "no")

    assert {status(agreed), status(asked)} == {ContactStatus.DECLINED}


def test_many_service_accounts_share_one_question(client: Client, make: Make, by: Actor) -> None:
    made = [make(name=f"Deploys {number}") for number in range(QUESTIONS.times + 1)]

    assert Mail.objects.filter(address=OPS).count() == QUESTIONS.times
    answer(client, path_in(mail_to(OPS)), "yes")

    assert {status(each) for each in made} == {ContactStatus.CONFIRMED}


def test_address_that_has_agreed_is_not_counted_among_the_new_ones(
    client: Client, make: Make, settings: Settings
) -> None:
    settings.INVITATIONS_PER_DAY = 1
    make()
    answer(client, path_in(mail_to(OPS)), "yes")
    assert status(make(name="Backups")) is ContactStatus.CONFIRMED
    with pytest.raises(ValidationError, match="up to 1 contact address"):
        make(name="Mails", contact_email="new@stranger.example")


def test_another_address_has_not_agreed(
    client: Client, make: Make, by: Actor, now: datetime
) -> None:
    deploys = make()
    answer(client, path_in(mail_to(OPS)), "yes")

    services.edit(
        service_account=deploys, changes={"contact_email": "new@stranger.example"}, by=by, at=now
    )

    assert status(deploys) is ContactStatus.PENDING
    assert mail_to("new@stranger.example").subject.startswith("Confirm")


def test_older_code_that_changes_the_address_makes_nobody_agree(make: Make, client: Client) -> None:
    deploys = make()
    answer(client, path_in(mail_to(OPS)), "yes")

    ServiceAccount.objects.update(contact_email="new@stranger.example")  # and nothing else

    assert status(deploys) is ContactStatus.PENDING
    assert deploys.notices_go_to == ""


def test_link_for_a_former_address_is_good_for_nothing(
    client: Client, make: Make, by: Actor, now: datetime
) -> None:
    deploys = make()
    path = path_in(mail_to(OPS))

    services.edit(
        service_account=deploys, changes={"contact_email": "new@stranger.example"}, by=by, at=now
    )
    services.edit(service_account=deploys, changes={"contact_email": OPS}, by=by, at=now)

    assert answer(client, path, "yes").status_code == 410
    assert status(deploys) is ContactStatus.PENDING


@pytest.mark.parametrize("end", ["late", "removed", "closed", "damaged", "asked again"])
def test_link_ends(client: Client, make: Make, by: Actor, end: str, now: datetime) -> None:
    deploys, at = make(), timezone.now()
    path = path_in(mail_to(OPS))
    match end:
        case "removed":
            members.remove_member(membership=deploys.membership, by=by, at=at)
        case "closed":
            Account.objects.filter(pk=deploys.account.pk).update(closed_at=at)
        case "damaged":
            path = f"{path[:-2]}x/"
        case "asked again":
            contacts.ask_again(service_account=deploys, by=by, at=at)
    days = contacts.LINK_LIFETIME if end == "late" else timedelta()

    with time_machine.travel(at + days + timedelta(seconds=1)):
        assert client.get(path).status_code == 410
        assert answer(client, path, "yes").status_code == 410

    assert status(deploys) is ContactStatus.PENDING


def test_mail_that_is_not_sent_yet_asks_only_what_is_still_to_ask(
    make: Make, by: Actor, now: datetime
) -> None:
    deploys = make()

    contacts.ask_again(service_account=deploys, by=by, at=now)
    assert len(mails_to(OPS)) == 1, "the former question is dropped"
    services.edit(service_account=deploys, changes={"contact_email": ""}, by=by, at=now)

    assert mails_to(OPS) == []


def test_address_is_asked_only_so_often(make: Make, by: Actor, now: datetime) -> None:
    deploys = make()
    for _time in range(QUESTIONS.times - 1):
        contacts.ask_again(service_account=deploys, by=by, at=now)

    with pytest.raises(ValidationError, match="asked 3 times"):
        contacts.ask_again(service_account=deploys, by=by, at=now)
    services.edit(service_account=deploys, changes={"contact_email": ""}, by=by, at=now)
    with pytest.raises(ValidationError) as refused:
        services.edit(service_account=deploys, changes={"contact_email": OPS}, by=by, at=now)
    assert refused.value.error_dict["contact_email"][0].code == "asked_too_often"
    assert Mail.objects.filter(address=OPS).count() == QUESTIONS.times
    # Questions of another account are counted by themselves.
    service_account(AccountFactory.create(), agrees=False, contact_email=OPS, at=now)
    assert Mail.objects.filter(address=OPS).count() == QUESTIONS.times + 1


def test_nobody_but_administrators_asks_again(
    make: Make, engineer: Membership, stranger: Membership, now: datetime
) -> None:
    deploys = make(issuers=[engineer])

    for member in (engineer, stranger):
        with pytest.raises(PermissionDenied):
            contacts.ask_again(service_account=deploys, by=Actor.member(member), at=now)

    assert Mail.objects.filter(address=OPS).count() == 1


def test_address_that_was_changed_meanwhile_is_not_asked_in_place_of_the_one_shown(
    make: Make, by: Actor, now: datetime
) -> None:
    deploys = make()
    shown = contacts.snapshot(deploys)
    services.edit(
        service_account=deploys, changes={"contact_email": "new@stranger.example"}, by=by, at=now
    )

    with pytest.raises(ValidationError, match="changed after you opened"):
        contacts.ask_again(service_account=deploys, shown=shown, by=by, at=now)


def test_question_carries_no_words_of_those_who_ask_as_its_own(
    make: Make, account: Account
) -> None:
    Account.objects.filter(pk=account.pk).update(name="Pay now at evil.example.com or lose access")
    deploys = make()
    User.everyone.filter(pk=deploys.membership.user_id).update(name="See evil.example.org " * 7)

    question = mail_to(OPS)

    assert question.subject == "Confirm this address for notifications"
    for part in (question.text, question.html):
        assert "evil[.]example" in part
        assert "evil.example" not in part
    assert f"Hello {OPS}," in question.text
    assert "See evil[.]example[.]org " * 5 not in question.text


def test_contact_that_is_a_member_is_not_asked(
    make: Make, engineer: Membership, administrator: Membership, now: datetime
) -> None:
    deploys = make(contact=engineer, contact_email="")

    issue(deploys.membership, by=Actor.member(administrator), at=now)

    assert status(deploys) is ContactStatus.NONE
    assert not Mail.objects.filter(kind="confirm_contact").exists()
    assert engineer.user_id in Notice.objects.values_list("user", flat=True)


def test_address_of_a_member_is_asked_like_any_other(make: Make, engineer: Membership) -> None:
    """They leave some day, and the address stays."""
    deploys = make(contact_email=engineer.user.email)

    assert status(deploys) is ContactStatus.PENDING


@pytest.mark.parametrize("sent", ["", "maybe"])
def test_answer_that_is_none_changes_nothing(client: Client, make: Make, sent: str) -> None:
    deploys = make()
    path = path_in(mail_to(OPS))

    assert answer(client, path, sent).status_code == 400
    assert client.head(path).status_code == 200
    assert client.put(path).status_code == 405
    assert status(deploys) is ContactStatus.PENDING


def test_answer_needs_the_page(make: Make) -> None:
    deploys = make()
    forger = Client(enforce_csrf_checks=True)

    assert answer(forger, path_in(mail_to(OPS)), "yes").status_code == 403

    assert status(deploys) is ContactStatus.PENDING


def test_person_who_is_signed_in_elsewhere_is_not_named(
    client: Client, make: Make, stranger: Membership
) -> None:
    make()
    client.force_login(stranger.user)

    answer(client, path_in(mail_to(OPS)), "yes")

    assert AuditEvent.objects.get(kind="service_account.contact_confirmed").user is None


def test_role_decides_who_may_set_one(make: Make, user: Membership, now: datetime) -> None:
    with pytest.raises(PermissionDenied):
        make(by=Actor.member(user), role=Role.USERS)
    assert not Mail.objects.exists()
