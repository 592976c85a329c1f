"""Services of e-mail domains: an account requests them, an operator approves or refuses.

A provider is trusted for addresses of approved domains only: without that approval any account
could claim the addresses of others.
"""

import re
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from accounts.authorization.shown import fingerprint, refuse_changed
from sso.connections.services import lock_connection
from sso.models import Connection, Domain

MAX_DOMAINS = 50
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}")
MAX_LENGTH = 253


def normalize_domain(text: str) -> str:
    """Normalize user input such as `@Example.com`: lower case, and the ASCII form of IDNA.

    Raises `ValidationError`.
    """
    name = text.strip().rstrip(".").rpartition("@")[2].lower()
    try:
        name = name.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if len(name) > MAX_LENGTH or not _DOMAIN.fullmatch(name):
        raise ValidationError(
            _("Enter the domain of your email addresses, such as example.com."), code="domain"
        )
    return name


def domain_of(email: str) -> str:
    """The domain of a normalized address."""
    return email.rpartition("@")[2].lower()


def is_authoritative_for(connection: Connection, email: str) -> bool:
    """True if an operator has approved the address's domain for exactly this connection."""
    approved = connection.domains.filter(approved_at__isnull=False)
    return approved.filter(name=domain_of(email)).exists()


def snapshot(domain: Domain) -> str:
    """A fingerprint of what is shown of a domain: whose it is, and what was answered."""
    return fingerprint(
        domain.connection_id, domain.name, domain.asked_at, domain.approved_at, domain.refused_at
    )


@transaction.atomic
def request_approval(*, connection: Connection, name: str, by: Actor, at: datetime) -> Domain:
    """Request a domain, or a refused one again. Idempotent.

    Raises `ValidationError` for an invalid domain, for one of another account, and over the limit.
    """
    connection, by = lock_connection(connection, by, at)
    assert by.membership is not None  # an Administrator in person
    name = normalize_domain(name)
    _refuse_taken(name, connection)
    domain = Domain.objects.filter(connection=connection, name=name).first()
    if domain is not None and domain.refused_at is None:
        return domain
    if domain is None and connection.domains.count() >= MAX_DOMAINS:
        raise ValidationError(
            _("An account can request up to %(most)d domains. Withdraw one first.")
            % {"most": MAX_DOMAINS},
            code="too_many",
        )
    domain = domain or Domain(connection=connection, name=name)
    domain.asked_at, domain.asked_by, domain.refused_at = at, by.membership, None
    domain.save()
    _record("sso.domain_requested", domain, by=by, at=at)
    return domain


@transaction.atomic
def withdraw(*, domain: Domain, shown: str | None = None, by: Actor, at: datetime) -> None:
    """Delete the account's domain. Idempotent. Raises `ValidationError` if `shown` is no longer the
    `snapshot`."""
    connection, by = lock_connection(domain.connection, by, at)
    present = Domain.objects.filter(connection=connection, pk=domain.pk).first()
    if present is not None:
        refuse_changed(shown, snapshot(present))
        present.delete()
        _record("sso.domain_withdrawn", domain, by=by, at=at)
        _stop_forcing_without_domains(connection, by=by, at=at)


@transaction.atomic
def approve(*, domain: Domain, shown: str | None = None, by: Actor, at: datetime) -> bool:
    """Approve the domain, so that the account's provider is trusted for it. False if it is already.

    For operators. Raises `ValidationError` if another account has it, it was withdrawn, or `shown`
    is no longer the `snapshot`: another operator may have refused it meanwhile, for a reason.
    """
    domain, by = _lock_for_operator(domain, by, at)
    if domain.is_approved:
        return False
    refuse_changed(shown, snapshot(domain))
    domain.approved_at, domain.approved_by, domain.refused_at = at, by.user, None
    try:
        with transaction.atomic():
            domain.save(update_fields=["approved_at", "approved_by", "refused_at"])
    except IntegrityError:
        raise ValidationError(
            _("This domain belongs to another account. Reject it there first."), code="taken"
        ) from None
    _record("sso.domain_approved", domain, by=by, at=at)
    return True


@transaction.atomic
def refuse(*, domain: Domain, shown: str | None = None, by: Actor, at: datetime) -> bool:
    """Refuse the domain, or revoke its approval. False if it is refused already. For operators.
    Raises `ValidationError` if `shown` is no longer the `snapshot`."""
    domain, by = _lock_for_operator(domain, by, at)
    if domain.refused_at is not None:
        return False
    refuse_changed(shown, snapshot(domain))
    domain.approved_at, domain.approved_by, domain.refused_at = None, None, at
    domain.save(update_fields=["approved_at", "approved_by", "refused_at"])
    _record("sso.domain_refused", domain, by=by, at=at)
    _stop_forcing_without_domains(domain.connection, by=by, at=at)
    return True


def _lock_for_operator(domain: Domain, by: Actor, at: datetime) -> tuple[Domain, Actor]:
    recheck.lock_account(domain.connection.account_id)
    by = recheck.operators_only(by, at)
    found = Domain.objects.filter(pk=domain.pk).select_related("connection").first()
    if found is None:
        raise ValidationError(
            _("The account is no longer requesting this domain."), code="withdrawn"
        )
    return found, by


def _refuse_taken(name: str, connection: Connection) -> None:
    """Refuse a domain of another account, without naming the account. (The sign-in page discloses
    to everybody that a domain has a provider.)"""
    approved = Domain.objects.filter(name=name, approved_at__isnull=False)
    if approved.exclude(connection=connection).exists():
        raise ValidationError(
            _(
                "This domain is already in use on this portal. If it is yours, contact the "
                "operator of the portal."
            ),
            code="taken",
        )


def _stop_forcing_without_domains(connection: Connection, *, by: Actor, at: datetime) -> None:
    """Switch forced SSO off when no approved domain is left: it would force nobody."""
    approved = Domain.objects.filter(connection=connection, approved_at__isnull=False)
    still = Connection.objects.filter(pk=connection.pk, is_forced=True)
    if not approved.exists() and still.update(is_forced=False):
        audit.record(
            "sso.enforcement_disabled",
            by=by,
            at=at,
            account_id=connection.account_id,
            subject=connection,
            code="no_domain",
        )


def _record(kind: str, domain: Domain, *, by: Actor, at: datetime) -> None:
    audit.record(
        kind,
        by=by,
        at=at,
        account_id=domain.connection.account_id,
        subject=domain.connection,
        domain=domain.name,
    )
