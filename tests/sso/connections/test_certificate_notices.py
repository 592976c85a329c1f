"""Administrators hear in time that their provider's certificate ends."""

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
from sso.connections.certificate_notices import warn_of_ending
from sso.models import Certificate, Connection
from sso.tasks import warn_of_certificates
from tests.factories import CertificateFactory, ConnectionFactory, MembershipFactory

pytestmark = pytest.mark.django_db

SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)
DAY = timedelta(days=1)


@pytest.fixture
def connection(administrator: Membership) -> Connection:
    return ConnectionFactory.create(account=administrator.account, name="Company directory")


@pytest.fixture
def certificate(connection: Connection, now: datetime) -> Certificate:
    """It ends in 20 days."""
    return CertificateFactory.create(connection=connection, not_after=now + 20 * DAY)


def warn(at: datetime) -> int:
    return warn_of_ending(by=SYSTEM, at=at)


def told() -> list[Notice]:
    return list(Notice.objects.order_by("pk"))


def test_all_administrators_are_told_by_mail_and_in_the_portal(
    certificate: Certificate, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    second = MembershipFactory.create(account=administrator.account)

    assert warn(now) == 1

    readers = {administrator.user, second.user}
    assert {notice.user for notice in told()} == readers
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
    warn(certificate.not_after - 8 * DAY)

    [notice] = told()
    assert notice.title == "The certificate of single sign-on ends on 4 May 2031"
    assert "Company directory" in notice.text
    assert notice.link == (
        f"/accounts/{administrator.account_id}/open/?next=/profile/account/single-sign-on/"
    )


def test_mail_reads_as_the_notice_does(certificate: Certificate, now: datetime) -> None:
    warn(now)
    mail = render_mail(Mail.objects.get(), at=now)
    assert mail is not None
    assert "ends on" in mail.subject
    assert "Company directory" in mail.text
    assert "/profile/account/single-sign-on/" in mail.text


def test_nobody_is_told_twice_of_the_same_day(certificate: Certificate, now: datetime) -> None:
    assert [warn(now), warn(now), warn(now + DAY)] == [1, 0, 0]
    assert len(told()) == 1


def test_they_are_told_a_month_and_a_week_before_and_when_it_has_ended(
    certificate: Certificate, now: datetime
) -> None:
    end = certificate.not_after
    days = [31, 30, 20, 8, 7, 3, 0, -1, -30]
    assert [warn(end - days_before * DAY) for days_before in days] == [0, 1, 0, 0, 1, 0, 1, 0, 0]
    assert told()[-1].title == "Nobody can sign in by single sign-on: its certificate has ended"


def test_whoever_slept_through_a_warning_hears_the_next_one_only(
    certificate: Certificate, now: datetime
) -> None:
    assert warn(certificate.not_after - 2 * DAY) == 1
    assert len(told()) == 1


def test_certificate_that_another_follows_worries_nobody(
    certificate: Certificate, connection: Connection, now: datetime
) -> None:
    CertificateFactory.create(connection=connection)
    assert warn(now) == 0


def test_two_that_end_together_are_one_warning(
    certificate: Certificate, connection: Connection, now: datetime
) -> None:
    CertificateFactory.create(connection=connection, not_after=certificate.not_after)
    assert warn(now) == 1


def test_connection_that_is_off_worries_nobody(certificate: Certificate, now: datetime) -> None:
    Connection.objects.update(is_on=False)
    assert warn(now) == 0


def test_closed_account_is_left_alone(
    certificate: Certificate, administrator: Membership, now: datetime
) -> None:
    administrator.account.closed_at = now
    administrator.account.save()
    assert warn(now) == 0


def test_other_accounts_hear_nothing(
    certificate: Certificate, stranger: Membership, now: datetime
) -> None:
    warn(now)
    assert not Notice.objects.filter(user=stranger.user).exists()


def test_who_wants_no_such_mails_gets_none(
    certificate: Certificate, administrator: Membership, now: datetime
) -> None:
    person = Person(administrator.user_id, administrator.account_id)
    warn(now)
    turn_off(person, CERTIFICATE_ENDING, Channel.EMAIL)
    assert render_mail(Mail.objects.get(), at=now) is None


@pytest.mark.parametrize("what", ["demoted", "removed", "renewed"])
def test_mail_that_is_outdated_is_not_sent(
    certificate: Certificate, administrator: Membership, what: str, now: datetime
) -> None:
    warn(now)
    match what:
        case "demoted":
            Membership.objects.update(role=Role.ENGINEERS)
        case "removed":
            certificate.delete()
        case "renewed":
            CertificateFactory.create(connection=certificate.connection)
    assert render_mail(Mail.objects.get(), at=now) is None


def test_beat_rings_for_it(certificate: Certificate) -> None:
    assert warn_of_certificates() == 1
    assert warn_of_certificates() == 0
