"""Notifies Administrators before their provider's last certificate expires, and when it has."""

from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.models import Membership
from accounts.roles import Role
from notifications import jobs
from notifications import services as notifications
from notifications.email.rendering import (
    RenderedEmail,
    one_name,
    reader_of,
    register_renderer,
    render_plain,
)
from notifications.kinds import CERTIFICATE_ENDING, Channel
from notifications.links import path_to
from notifications.models import Mail
from notifications.preferences.services import wanted_channels
from notifications.recipients import Person
from notifications.services import News
from sso.models import Certificate

NOTICE_PERIODS = (timedelta(days=30), timedelta(days=7), timedelta(0))
"""Before the last certificate expires, longest first; the last notice says that it has."""


def notify_expiring_certificates(*, by: Actor, at: datetime) -> int:
    """Notify the Administrators of all accounts whose last certificate expires. Returns how many
    certificates were reported. Idempotent, also when called concurrently. Raises `SomeFailed` when
    all others are done."""
    return jobs.for_each(list(_expiring_certificates(at)), partial(_notify, by=by, at=at))


def _expiring_certificates(at: datetime) -> QuerySet[Certificate]:
    """Certificates about to expire that no other certificate of the connection outlasts."""
    longer = Certificate.objects.filter(connection=OuterRef("connection")).filter(
        Q(not_after__gt=OuterRef("not_after"))
        | Q(not_after=OuterRef("not_after"), pk__gt=OuterRef("pk"))
    )
    return (
        Certificate.objects.filter(
            ~Exists(longer),
            connection__is_on=True,
            connection__account__closed_at__isnull=True,
            not_after__lte=at + NOTICE_PERIODS[0],
        )
        .select_related("connection__account")
        .order_by("pk")
    )


@transaction.atomic
def _notify(certificate: Certificate, *, by: Actor, at: datetime) -> bool:
    if not _mark_notified(certificate, at):
        return False
    account_id = certificate.connection.account_id
    audit.record(
        "sso.certificate_ending",
        by=by,
        at=at,
        account_id=account_id,
        subject=certificate.connection,
        fingerprint=certificate.fingerprint,
        ends_at=certificate.not_after.isoformat(),
    )
    administrators = (
        Membership.objects.present()
        .filter(account=account_id, role=Role.ADMINISTRATORS)
        .select_related("user")
        .order_by("pk")
    )
    notifications.tell(
        news=[_news(certificate, each, at) for each in administrators],
        kind=CERTIFICATE_ENDING,
        at=at,
    )
    return True


def _mark_notified(certificate: Certificate, at: datetime) -> bool:
    """True for the first caller since the latest notice became due."""
    instants = [certificate.not_after - before for before in NOTICE_PERIODS]
    due_at = max(instant for instant in instants if instant <= at)
    not_notified = Certificate.objects.filter(
        Q(warned_at__isnull=True) | Q(warned_at__lt=due_at), pk=certificate.pk
    )
    return bool(not_notified.update(warned_at=at))


def _news(certificate: Certificate, reader: Membership, at: datetime) -> News:
    with translation.override(reader.user.catalogue), timezone.override(reader.user.time_zone):
        if certificate.not_after <= at:
            title = _("No one can sign in through single sign-on: its certificate has expired")
        else:
            title = _("The single sign-on certificate expires on %(day)s") % {
                "day": date_format(
                    timezone.localtime(certificate.not_after), pgettext("date format", "j M Y")
                )
            }
        text = _(
            "Renew it at your identity provider “%(name)s” and upload the new metadata to the "
            "portal. Keep the current certificate alongside the new one until the provider has "
            "switched over."
        ) % {"name": one_name(certificate.connection.name)}
    return News(
        person=Person(reader.user_id, certificate.connection.account_id),
        title=title,
        text=text,
        link=path_to("sso:connection", account_id=certificate.connection.account_id),
        facts={"certificate_id": certificate.pk},
    )


@register_renderer(CERTIFICATE_ENDING)
def render_certificate_ending(mail: Mail, _at: datetime) -> RenderedEmail | None:
    """Render the e-mail; None if it is outdated: the certificate is removed or replaced, or the
    reader is no longer an Administrator or has switched this kind off."""
    person = reader_of(mail)
    administrators = Membership.objects.of(mail.user).filter(
        account_id=person.account_id, role=Role.ADMINISTRATORS
    )
    wanted = wanted_channels([person], CERTIFICATE_ENDING)[person]
    if Channel.EMAIL not in wanted or not administrators.exists():
        return None
    return render_plain(mail) if _is_last(mail.facts["certificate_id"]) else None


def _is_last(certificate_id: int) -> bool:
    others = Certificate.objects.filter(
        connection=OuterRef("connection"), not_after__gt=OuterRef("not_after")
    )
    return Certificate.objects.filter(~Exists(others), pk=certificate_id).exists()
