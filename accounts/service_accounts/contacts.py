"""Addresses as contacts of service accounts: their owners agree before they get any notice.

An address is asked once, by a mail with a signed link, and again only if an Administrator asks
again. It answers for the whole account: its other service accounts with the same contact need no
answer of their own, and who has declined is asked no more.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from accounts.authorization.shown import fingerprint, refuse_changed
from accounts.members import services as members
from accounts.members.contact_limits import count_address, count_question
from accounts.models import ContactStatus, ServiceAccount, ServiceAccountQuerySet
from notifications.kinds import CONFIRM_CONTACT
from notifications.preferences import refusals
from notifications.services import post
from notifications.tasks import enqueue_delivery_on_commit

SALT = "accounts.contacts"
LINK_LIFETIME = timedelta(days=3)
"""Longer than of other links: perhaps a team reads there, and not on a weekend."""


class BadLink(Exception):
    """The link is damaged or too old, was answered or replaced, or there is nothing to answer."""


class Question(NamedTuple):
    """What a link asks: whether this address wants to be the contact of this service account."""

    service_account: ServiceAccount
    email: str


def path(service_account: ServiceAccount) -> str:
    """The path of the link in the newest mail to the contact address."""
    facts = [service_account.pk, service_account.contact_email, service_account.contact_number]
    return reverse("accounts:answer_contact", args=[signing.dumps(facts, salt=SALT)])


def read(signed: str) -> Question:
    """Read a link. Raises `BadLink`."""
    try:
        pk, email, number = signing.loads(signed, salt=SALT, max_age=LINK_LIFETIME)
    except (signing.BadSignature, ValueError, TypeError):
        raise BadLink from None
    open_accounts = ServiceAccount.objects.filter(
        membership__removed_at=None, membership__account__closed_at=None
    )
    found = open_accounts.filter(pk=pk, contact_email=email, contact_number=number)
    service_account = found.select_related("membership__user", "membership__account").first()
    if service_account is None or service_account.contact_status is not ContactStatus.PENDING:
        raise BadLink
    return Question(service_account, email)


def snapshot(service_account: ServiceAccount) -> str:
    """A fingerprint of what is shown of the contact: which address, and how often it was asked."""
    return fingerprint(service_account.contact_email, service_account.contact_number)


def ask(service_account: ServiceAccount, *, at: datetime) -> None:
    """Ask a new contact address whether it agrees, unless it has answered for this account before.
    A part of the service that has set it, under the account's lock.

    Raises `ValidationError` for one that has declined, and for one that was asked too often and is
    no other's contact.
    """
    account_id, email = service_account.membership.account_id, service_account.contact_email
    service_account.confirmed_email = service_account.declined_email = ""
    if not email:
        return
    if refusals.has_refused(account_id, CONFIRM_CONTACT, address=email):
        raise ValidationError(
            _("The owner of this address doesn't want notifications from this account."),
            code="declined",
        )
    others = _with_contact(account_id, email).exclude(pk=service_account.pk)
    if has_agreed(account_id, email):
        service_account.confirmed_email = email
        return
    try:
        count_question(email, account_id=account_id)
    except ValidationError:
        if others.exists():
            return  # their questions are on the way, and the answer is for all
        raise
    _post(service_account, at=at)


def has_agreed(account_id: int, email: str) -> bool:
    """Whether the address is the contact of a service account of the account, and has agreed."""
    return _with_contact(account_id, email).filter(confirmed_email=email).exists()


@transaction.atomic
def ask_again(
    *, service_account: ServiceAccount, shown: str | None = None, by: Actor, at: datetime
) -> str:
    """Send the mail once more, with another link; the former one ends. Returns the address.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, and
    `ValidationError` if the address has answered or was asked too often, or if `shown` is no longer
    the `snapshot`.
    """
    account_id = service_account.membership.account_id
    recheck.lock_account(account_id)
    by = recheck.reauthorize(by, at)
    if not members.may_manage(by, account_id):
        raise PermissionDenied(_("Only Administrators can manage service accounts."))
    present = ServiceAccount.objects.of(account_id).filter(pk=service_account.pk).first()
    if present is None or present.contact_status is not ContactStatus.PENDING:
        raise ValidationError(
            _("The contact has already answered, so it isn't asked again."), code="answered"
        )
    refuse_changed(shown, snapshot(present))
    count_address(present.contact_email, account_id=account_id)
    count_question(present.contact_email, account_id=account_id)
    _post(present, at=at)
    present.save(update_fields=["contact_number"])
    email = present.contact_email
    record("service_account.contact_asked", present, by=by, at=at, email=email)
    return email


@transaction.atomic
def answer(*, signed: str, agrees: bool, by: Actor, at: datetime) -> Question:
    """Answer for the address that the link was sent to. Raises `BadLink`.

    With the answer all links to the address end, of the whole account.
    """
    account_id = read(signed).service_account.membership.account_id
    recheck.lock_account(account_id)
    question = read(signed)
    service_account, email = question
    _with_contact(account_id, email).update(
        contact_number=F("contact_number") + 1,
        confirmed_email=email if agrees else "",
        declined_email="" if agrees else email,
    )
    if not agrees:
        refusals.keep(account_id, CONFIRM_CONTACT, address=email)
    kind = "service_account.contact_confirmed" if agrees else "service_account.contact_declined"
    record(kind, service_account, by=by, at=at, email=service_account.contact_email)
    return question


def _with_contact(account_id: int, email: str) -> ServiceAccountQuerySet:
    present = ServiceAccount.objects.filter(
        membership__account=account_id, membership__removed_at=None
    )
    return present.filter(contact_email=email)


def _post(service_account: ServiceAccount, *, at: datetime) -> None:
    """Put the mail on its way. The caller saves the number."""
    service_account.contact_number += 1
    post(
        user_id=service_account.membership.user_id,
        account_id=service_account.membership.account_id,
        address=service_account.contact_email,
        kind=CONFIRM_CONTACT,
        facts={"number": service_account.contact_number},
        at=at,
        give_up_after=LINK_LIFETIME,
    )
    enqueue_delivery_on_commit()


def record(
    kind: str, service_account: ServiceAccount, *, by: Actor, at: datetime, **details: Any
) -> None:
    """Write an event about a service account."""
    membership = service_account.membership
    audit.record(
        kind,
        by=by,
        at=at,
        account_id=membership.account_id,
        subject=membership,
        user=membership.user_id,
        **details,
    )
