"""Administrators are notified in time before the provider's certificate expires."""

from datetime import datetime, timedelta

import pytest

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from notifications.email.rendering import render_mail
from notifications.kinds import CERTIFICATE_ENDING, Channel
from notifications.models import Mail, Notice
from notifications.preferences.services import turn_off
from notifications.recipients import Person
from sso import tasks
from sso.connections.certificate_notices import notify_expiring_certificates
from sso.models import Certificate, Connection
from tests.factories import ACCOUNT_ID, CertificateFactory, ConnectionFactory, MembershipFactory

pytestmark = pytest.mark.django_db

SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)
DAY = timedelta(days=1)


@pytest.fixture
def connection(administrator: Membership) -> Connection:
    return ConnectionFactory.create(account=administrator.account, name="Company directory")


@pytest.fixture
def certificate(connection: Connection, now: datetime) -> Certificate:
    """A certificate that expires in 20 days."""
    return CertificateFactory.create(connection=connection, not_after=now + 20 * DAY)


def notify(at: datetime) -> int:
    return notify_expiring_certificates(by=SYSTEM, at=at)


def notices() -> list[Notice]:
    return list(Notice.objects.order_by("pk"))


def test_all_administrators_get_mail_and_notice(
    certificate: Certificate, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    second = MembershipFactory.create(account=administrator.account)

    assert notify(now) == 1

    readers = {administrator.user, second.user}
    assert {notice.user for notice in notices()} == readers
    assert {mail.user for mail in Mail.objects.all()} == readers
    [event] = AuditEvent.objects.filter(kind="sso.certificate_ending")
    assert event.account == administrator.account
    assert event.details["fingerprint"] == certificate.fingerprint


def test_notice_says_when_where_and_what_to_do(
    certificate: Certificate, administrator: Membership, now: datetime
) -> None:
    administrator.user.time_zone = "Pacific/Kiritimati"
    administrator.user.save()
    certificate.not_after = datetime(2031, 5, 3, 23, 0, tzinfo=now.tzinfo)
    certificate.save()
    notify(certificate.not_after - 8 * DAY)

    [notice] = notices()
    assert notice.title == "The single sign-on certificate expires on 4 May 2031"
    assert "Company directory" in notice.text
    assert notice.link == f"/accounts/{administrator.account_id}/single-sign-on/"


def test_mail_has_the_text_of_the_notice(certificate: Certificate, now: datetime) -> None:
    notify(now)
    rendered = render_mail(Mail.objects.get(), at=now)
    assert rendered is not None
    assert "expires on" in rendered.subject
    assert "Company directory" in rendered.text
    assert f"/accounts/{ACCOUNT_ID}/single-sign-on/" in rendered.text


def test_second_run_notifies_nobody(certificate: Certificate, now: datetime) -> None:
    assert [notify(now), notify(now), notify(now + DAY)] == [1, 0, 0]
    assert len(notices()) == 1


def test_notices_come_a_month_and_a_week_before_and_after_expiry(
    certificate: Certificate, now: datetime
) -> None:
    end = certificate.not_after
    days = [31, 30, 20, 8, 7, 3, 0, -1, -30]
    assert [notify(end - days_before * DAY) for days_before in days] == [0, 1, 0, 0, 1, 0, 1, 0, 0]
    assert notices()[-1].title == (
        "No one can sign in through single sign-on: its certificate has expired"
    )


def test_missed_notice_is_skipped(certificate: Certificate, now: datetime) -> None:
    assert notify(certificate.not_after - 2 * DAY) == 1
    assert len(notices()) == 1


def test_replaced_certificate_is_not_reported(
    certificate: Certificate, connection: Connection, now: datetime
) -> None:
    CertificateFactory.create(connection=connection)
    assert notify(now) == 0


def test_two_certificates_with_one_expiry_are_one_notice(
    certificate: Certificate, connection: Connection, now: datetime
) -> None:
    CertificateFactory.create(connection=connection, not_after=certificate.not_after)
    assert notify(now) == 1


def test_certificate_of_another_account_replaces_none(
    certificate: Certificate, now: datetime
) -> None:
    CertificateFactory.create(not_after=now + 365 * DAY)

    assert notify(now) == 1
    assert render_mail(Mail.objects.get(), at=now) is not None


def test_connection_that_is_off_is_not_reported(certificate: Certificate, now: datetime) -> None:
    Connection.objects.update(is_on=False)
    assert notify(now) == 0


def test_closed_account_is_left_alone(
    certificate: Certificate, administrator: Membership, now: datetime
) -> None:
    administrator.account.closed_at = now
    administrator.account.save()
    assert notify(now) == 0


def test_other_accounts_are_not_notified(
    certificate: Certificate, stranger: Membership, now: datetime
) -> None:
    notify(now)
    assert not Notice.objects.filter(user=stranger.user).exists()


def test_mail_is_not_sent_where_the_kind_is_switched_off(
    certificate: Certificate, administrator: Membership, now: datetime
) -> None:
    person = Person(administrator.user_id, administrator.account_id)
    notify(now)
    turn_off(person, CERTIFICATE_ENDING, Channel.EMAIL)
    assert render_mail(Mail.objects.get(), at=now) is None


@pytest.mark.parametrize("what", ["demoted", "removed", "renewed"])
def test_mail_that_is_outdated_is_not_sent(
    certificate: Certificate, administrator: Membership, what: str, now: datetime
) -> None:
    notify(now)
    match what:
        case "demoted":
            Membership.objects.update(role=Role.ENGINEERS)
        case "removed":
            certificate.delete()
        case "renewed":
            CertificateFactory.create(connection=certificate.connection)
    assert render_mail(Mail.objects.get(), at=now) is None


def test_task_notifies_once(certificate: Certificate) -> None:
    assert tasks.notify_expiring_certificates() == 1
    assert tasks.notify_expiring_certificates() == 0
