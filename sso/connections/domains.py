"""The verbs of e-mail domains: an account asks for them, an operator answers.

Only an approved domain lets a provider speak for addresses: without the operator any account could
claim everybody's.
"""

import re
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from sso.connections.services import locked
from sso.models import Connection, Domain

MOST_DOMAINS = 50
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}")
LONGEST = 253


def normal_domain(text: str) -> str:
    """The domain in lower case and the ASCII form of IDNA, from what people type: `@Example.com`.

    Raises `ValidationError`.
    """
    name = text.strip().rstrip(".").rpartition("@")[2].lower()
    try:
        name = name.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if len(name) > LONGEST or not _DOMAIN.fullmatch(name):
        raise ValidationError(
            _("Write the domain of your e-mail addresses, such as example.com."), code="domain"
        )
    return name


def domain_of(email: str) -> str:
    """What stands behind the @ of an address as it is kept."""
    return email.rpartition("@")[2].lower()


@transaction.atomic
def ask(*, connection: Connection, name: str, by: Actor, at: datetime) -> Domain:
    """Ask the operator for a domain, or once more for a refused one. Dull if it is asked for.

    Raises `ValidationError` for what is no domain, for one that another account has, and for more
    than anybody needs.
    """
    connection, by = locked(connection, by, at)
    assert by.membership is not None  # an Administrator in person
    name = normal_domain(name)
    _refuse_taken(name, connection)
    domain = Domain.objects.filter(connection=connection, name=name).first()
    if domain is not None and domain.refused_at is None:
        return domain
    if domain is None and connection.domains.count() >= MOST_DOMAINS:
        raise ValidationError(
            _("An account may ask for up to %(most)d domains. Withdraw one first.")
            % {"most": MOST_DOMAINS},
            code="too_many",
        )
    domain = domain or Domain(connection=connection, name=name)
    domain.asked_at, domain.asked_by, domain.refused_at = at, by.membership, None
    domain.save()
    _record("sso.domain_requested", domain, by=by, at=at)
    return domain


@transaction.atomic
def withdraw(*, domain: Domain, by: Actor, at: datetime) -> None:
    """The account does without it, at once. Dull if it is gone."""
    connection, by = locked(domain.connection, by, at)
    gone, _rows = Domain.objects.filter(connection=connection, pk=domain.pk).delete()
    if gone:
        _record("sso.domain_withdrawn", domain, by=by, at=at)
        _end_forcing_without_domains(connection, by=by, at=at)


@transaction.atomic
def approve(*, domain: Domain, by: Actor, at: datetime) -> bool:
    """Let the account's provider speak for addresses of this domain. False if it may already.

    By operators. Raises `ValidationError` if another account has it, or nobody asks any more.
    """
    domain, by = _for_operator(domain, by, at)
    if domain.is_approved:
        return False
    domain.approved_at, domain.approved_by, domain.refused_at = at, by.user, None
    try:
        with transaction.atomic():
            domain.save(update_fields=["approved_at", "approved_by", "refused_at"])
    except IntegrityError:
        raise ValidationError(
            _("Another account has this domain. Refuse it there first."), code="taken"
        ) from None
    _record("sso.domain_approved", domain, by=by, at=at)
    return True


@transaction.atomic
def refuse(*, domain: Domain, by: Actor, at: datetime) -> bool:
    """Say no, or take an approval back: from now on the provider speaks for it no more. False if
    that was said already. By operators."""
    domain, by = _for_operator(domain, by, at)
    if domain.refused_at is not None:
        return False
    domain.approved_at, domain.approved_by, domain.refused_at = None, None, at
    domain.save(update_fields=["approved_at", "approved_by", "refused_at"])
    _record("sso.domain_refused", domain, by=by, at=at)
    _end_forcing_without_domains(domain.connection, by=by, at=at)
    return True


def _for_operator(domain: Domain, by: Actor, at: datetime) -> tuple[Domain, Actor]:
    recheck.lock_account(domain.connection.account_id)
    by = recheck.operators_only(by, at)
    found = Domain.objects.filter(pk=domain.pk).select_related("connection").first()
    if found is None:
        raise ValidationError(_("The account does not ask for it any more."), code="withdrawn")
    return found, by


def _refuse_taken(name: str, connection: Connection) -> None:
    """No more is told than the sign-in page tells everybody: that this domain is somebody's."""
    approved = Domain.objects.filter(name=name, approved_at__isnull=False)
    if approved.exclude(connection=connection).exists():
        raise ValidationError(
            _(
                "This domain is in use on this portal already. If it is yours, ask the operator of "
                "the portal."
            ),
            code="taken",
        )


def _end_forcing_without_domains(connection: Connection, *, by: Actor, at: datetime) -> None:
    """Without an approved domain nobody is forced, and the page must not say otherwise."""
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
