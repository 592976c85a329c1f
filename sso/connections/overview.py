"""Data of the single sign-on page."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from accounts.authorization.actor import Actor
from sso.connections.domains import snapshot as snapshot_of_domain
from sso.connections.services import (
    obstacles_to_forcing,
    obstacles_to_switching_on,
    snapshot,
)
from sso.models import Certificate, Connection, Domain
from sso.saml import endpoints

EXPIRES_SOON = timedelta(days=30)


class DomainRow(NamedTuple):
    """A domain, and the fingerprint of what is shown of it."""

    domain: Domain
    shown: str


class CertificateRow(NamedTuple):
    """A certificate at one moment, with its fingerprint in the usual form `AB:CD:…`."""

    certificate: Certificate
    fingerprint: str
    has_ended: bool
    ends_soon: bool
    is_early: bool


def overview(connection: Connection | None, *, by: Actor, at: datetime) -> dict[str, Any]:
    """The context of the page."""
    if connection is None:
        return {"connection": None}
    domains = list(Domain.objects.filter(connection=connection).order_by("name"))
    return {
        "connection": connection,
        "entity_id": endpoints.entity_id(connection),
        "acs_url": endpoints.acs_url(connection),
        "sls_url": endpoints.sls_url(connection),
        "direct_url": endpoints.begin_url(connection),
        "certificates": [
            _row(each, at) for each in connection.certificates.order_by("not_after", "pk")
        ],
        "domains": [DomainRow(each, snapshot_of_domain(each)) for each in domains],
        "has_approved_domain": any(domain.is_approved for domain in domains),
        "obstacles": [] if connection.is_on else obstacles_to_switching_on(connection, at),
        "obstacles_to_forcing": (
            [] if connection.is_forced else obstacles_to_forcing(connection, by, at)
        ),
        "shown": snapshot(connection),
        "linked_people": connection.subjects.filter(membership__removed_at__isnull=True).count(),
    }


def _row(certificate: Certificate, at: datetime) -> CertificateRow:
    digits = certificate.fingerprint.upper()
    has_ended = certificate.not_after <= at
    return CertificateRow(
        certificate=certificate,
        fingerprint=":".join(digits[start : start + 2] for start in range(0, len(digits), 2)),
        has_ended=has_ended,
        ends_soon=not has_ended and certificate.not_after <= at + EXPIRES_SOON,
        is_early=at < certificate.not_before,
    )
