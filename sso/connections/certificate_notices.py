"""Tells Administrators that the last certificate of their provider ends: nobody signs in then."""

from datetime import datetime, timedelta

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
from notifications import services as notifications
from notifications.email.rendering import RenderedEmail, reader_of, register_renderer, render_plain
from notifications.kinds import CERTIFICATE_ENDING, Channel
from notifications.links import path_to, within
from notifications.models import Mail
from notifications.preferences.services import wanted_channels
from notifications.recipients import Person
from notifications.services import News
from sso.models import Certificate

WARNED_BEFORE = (timedelta(days=30), timedelta(days=7), timedelta(0))
"""Before the end of the last certificate, longest first; the last time it has ended."""


def warn_of_ending(*, by: Actor, at: datetime) -> int:
    """Tell the Administrators of all accounts whose single sign-on is in danger and who were not
    told yet. Returns how many certificates it was. Idempotent, also when run twice
    at once."""
    return sum(_warn(each, by=by, at=at) for each in _last_ones(at))


def _last_ones(at: datetime) -> QuerySet[Certificate]:
    """Those with an end in sight, where no other of the connection lasts longer."""
    longer = Certificate.objects.filter(connection=OuterRef("connection")).filter(
        Q(not_after__gt=OuterRef("not_after"))
        | Q(not_after=OuterRef("not_after"), pk__gt=OuterRef("pk"))
    )
    return (
        Certificate.objects.filter(
            ~Exists(longer),
            connection__is_on=True,
            connection__account__closed_at__isnull=True,
            not_after__lte=at + WARNED_BEFORE[0],
        )
        .select_related("connection__account")
        .order_by("pk")
    )


@transaction.atomic
def _warn(certificate: Certificate, *, by: Actor, at: datetime) -> bool:
    instants = [certificate.not_after - before for before in WARNED_BEFORE]
    latest = max(instant for instant in instants if instant <= at)
    untold = Certificate.objects.filter(
        Q(warned_at__isnull=True) | Q(warned_at__lt=latest), pk=certificate.pk
    )
    if not untold.update(warned_at=at):
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


def _news(certificate: Certificate, reader: Membership, at: datetime) -> News:
    with translation.override(reader.user.catalogue), timezone.override(reader.user.time_zone):
        if certificate.not_after <= at:
            title = _("Nobody can sign in by single sign-on: its certificate has ended")
        else:
            title = _("The certificate of single sign-on ends on %(day)s") % {
                "day": date_format(
                    timezone.localtime(certificate.not_after), pgettext("date format", "j M Y")
                )
            }
        text = _(
            "Renew it at your identity provider “%(name)s”, and bring the portal the new metadata. "
            "Keep the present certificate beside the new one until the provider has changed over."
        ) % {"name": certificate.connection.name}
    return News(
        person=Person(reader.user_id, certificate.connection.account_id),
        title=title,
        text=text,
        link=_page_of(certificate.connection.account_id),
        facts={"certificate_id": certificate.pk},
    )


def _page_of(account_id: int) -> str:
    """The path of the page of single sign-on, in its account."""
    return within(account_id, path_to("sso:connection"))


@register_renderer(CERTIFICATE_ENDING)
def render_certificate_ending(mail: Mail, _at: datetime) -> RenderedEmail | None:
    """Title, text and link; None if the certificate is gone or followed by another, the reader is
    no Administrator any more, or does not want such mails."""
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
