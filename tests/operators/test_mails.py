"""Operators see what mails got stuck and why, and try them again, on the record."""

from datetime import datetime

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse

from accounts.authorization.actor import Actor
from accounts.members import mail_policy
from accounts.models import AuditEvent, Membership, User
from notifications.kinds import TOKEN_EXPIRING
from notifications.models import Mail, State

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> User:
    return User.objects.create_superuser("operator@example.com", "a-long-password-1")


@pytest.fixture
def mail(user: Membership, now: datetime) -> Mail:
    return Mail.objects.create(
        user=user.user,
        account=user.account,
        kind=TOKEN_EXPIRING.code,
        created_at=now,
        next_try_at=now,
        give_up_at=now,
        state=State.FAILED,
        reason="550 no such user",
        tries=9,
    )


def try_again(client: Client, *mails: Mail) -> None:
    client.post(
        reverse("admin:notifications_mail_changelist"),
        {"action": "try_again", "_selected_action": [str(each.pk) for each in mails]},
    )


def test_the_list_shows_the_reason(client: Client, operator: User, mail: Mail) -> None:
    client.force_login(operator)
    page = client.get(reverse("admin:notifications_mail_changelist"))
    assert "550 no such user" in page.content.decode()


def test_an_operator_tries_a_given_up_mail_again(
    client: Client, operator: User, mail: Mail
) -> None:
    client.force_login(operator)
    try_again(client, mail)
    mail.refresh_from_db()
    assert (mail.state, mail.tries) == (State.PENDING, 0)
    event = AuditEvent.objects.get(kind="mail.retried")
    assert (event.user, event.details["mail"]) == (operator, str(mail.pk))


def test_a_mail_that_was_sent_is_not_sent_again(client: Client, operator: User, mail: Mail) -> None:
    mail.state = State.SENT
    mail.save()
    client.force_login(operator)
    try_again(client, mail)
    mail.refresh_from_db()
    assert mail.state == State.SENT
    assert not AuditEvent.objects.filter(kind="mail.retried").exists()


def test_administrators_of_accounts_may_not_try_mails_again(
    administrator: Membership, mail: Mail, now: datetime
) -> None:
    with pytest.raises(PermissionDenied):
        mail_policy.retry_mail(mail=mail, by=Actor.member(administrator), at=now)


def test_mails_can_be_neither_made_nor_changed_nor_deleted_by_hand(
    client: Client, operator: User, mail: Mail
) -> None:
    client.force_login(operator)
    for name, args in (("add", []), ("delete", [mail.pk])):
        assert client.get(reverse(f"admin:notifications_mail_{name}", args=args)).status_code == 403
