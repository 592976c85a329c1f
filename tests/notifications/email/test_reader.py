"""A mail goes to its reader as they are when it is sent, not as they were when it was claimed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from accounts.models import Membership, ServiceAccount, User
from accounts.sign_in.emails import confirm_change
from notifications.email.claims import Batch
from notifications.email.delivery import deliver
from notifications.email.transport import SMTPTransport
from notifications.kinds import KINDS, Channel
from notifications.models import Mail, State
from notifications.preferences.services import turn_off
from notifications.recipients import Person
from tests.factories import MembershipFactory, service_account
from tests.mailserver import MailServer
from tests.notifications.conftest import MakeMail

pytestmark = pytest.mark.django_db

FORMER, NEW = "former@example.com", "new@example.com"
Change = Callable[[Mail], Any]


def moves(mail: Mail) -> None:
    User.objects.filter(pk=mail.user_id).update(email=NEW)


def is_switched_off(mail: Mail) -> None:
    User.objects.filter(pk=mail.user_id).update(is_active=False)


def is_deleted(mail: Mail) -> None:
    Mail.objects.filter(pk=mail.pk).delete()  # as the database does with all that is a user's


def leaves(mail: Mail) -> None:
    Membership.objects.filter(user=mail.user_id).update(removed_at=mail.created_at)


def opts_out(mail: Mail) -> None:
    turn_off(Person(mail.user_id, mail.account_id or 0), KINDS[mail.kind], Channel.EMAIL)


@pytest.fixture
def second(mail: MakeMail, administrator: Membership, now: datetime) -> Mail:
    """The second of two mails that are claimed together."""
    mail(administrator, next_try_at=now - timedelta(seconds=1))
    return mail(MembershipFactory.create(account=administrator.account, user__email=FORMER))


@pytest.mark.parametrize(
    ("happens", "state", "goes_to"),
    [
        (moves, State.SENT, [NEW]),
        (is_switched_off, State.DROPPED, []),
        (leaves, State.DROPPED, []),
        (opts_out, State.DROPPED, []),
        (is_deleted, None, []),
    ],
)
def test_what_happens_to_the_reader_after_the_claim_counts(
    server: MailServer,
    second: Mail,
    happens: Change,
    state: State | None,
    goes_to: list[str],
    administrator: Membership,
) -> None:
    others = [administrator.user.email]
    deliver(on_first_sent=lambda: happens(second))

    assert [each for each in server.recipients if each not in others] == goes_to
    found = Mail.objects.filter(pk=second.pk).first()
    assert (found.state if found else None) == state


@pytest.mark.parametrize(
    ("happens", "state", "goes_to"),
    [(moves, State.SENT, [NEW]), (is_switched_off, State.DROPPED, [])],
)
def test_what_happens_while_the_server_takes_its_time_counts(
    server: MailServer,
    mail: MakeMail,
    user: Membership,
    happens: Change,
    state: State,
    goes_to: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader changes between RCPT and the body."""
    waiting = mail(user)
    mark, pending = Batch.mark_handing_over, [happens]

    def late_mark(batch: Batch, claimed: Mail) -> None:
        if pending:
            pending.pop()(waiting)
        mark(batch, claimed)

    monkeypatch.setattr(Batch, "mark_handing_over", late_mark)
    deliver()

    assert server.recipients == goes_to
    waiting.refresh_from_db()
    assert (waiting.state, waiting.tries) == (state, 0)


def asks_a_contact(administrator: Membership, at: datetime) -> Callable[[], object]:
    contact = service_account(administrator.account, agrees=False, contact_email=FORMER, at=at)
    found = ServiceAccount.objects.filter(pk=contact.pk)
    return lambda: found.update(contact_email=NEW)


def asks_for_another_address(administrator: Membership, at: datetime) -> Callable[[], object]:
    confirm_change(user=administrator.user, email=FORMER, at=at)
    found = User.objects.filter(pk=administrator.user_id)
    return lambda: found.update(email_change_number=F("email_change_number") + 1)


@pytest.mark.parametrize("ask", [asks_a_contact, asks_for_another_address])
def test_an_address_that_is_no_readers_own_is_asked_about_to_the_last(
    server: MailServer,
    administrator: Membership,
    now: datetime,
    ask: Callable[[Membership, datetime], Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The address is replaced between RCPT and the body."""
    replace = ask(administrator, now)
    announce = SMTPTransport._announce

    def slowly(transport: SMTPTransport, envelope: Any) -> Any:
        smtp = announce(transport, envelope)
        replace()
        return smtp

    monkeypatch.setattr(SMTPTransport, "_announce", slowly)
    deliver()

    assert server.recipients == []
    assert Mail.objects.get(address=FORMER).state == State.DROPPED


def test_the_link_in_the_mail_fits_its_address(
    server: MailServer, mail: MakeMail, user: Membership, client: Client
) -> None:
    """Who reads the former mailbox later learns no new address by it, and stops no mail."""
    mail(user)
    deliver()
    taken = server.keeper.taken[0]
    path = taken.message["List-Unsubscribe"].strip("<>").removeprefix("http://localhost:8000")
    assert taken.recipient in client.get(path).content.decode()

    User.objects.filter(pk=user.user_id).update(email=NEW)

    refused = client.post(path, {"List-Unsubscribe": "One-Click"})
    assert refused.status_code == 400
    assert NEW not in refused.content.decode()
