"""Users whom a connection must not sign in, whatever its provider says."""

from accounts.models import Membership, User
from sso.connections.domains import domain_of
from sso.models import Connection, Domain
from sso.saml.errors import Refused


def refuse_operators_and_inactive(user: User) -> None:
    if user.is_staff:
        raise Refused("operator", email=user.email)
    if not user.is_active:
        raise Refused("inactive", email=user.email)


def refuse_if_forced_elsewhere(connection: Connection, user: User) -> None:
    """Refuse users whom another account forces to use its own provider: a session covers all
    accounts of the user, so that this login would bypass it."""
    others = Domain.objects.in_force().filter(
        name=domain_of(user.email),
        connection__is_forced=True,
        connection__account__in=Membership.objects.of(user).values("account"),
    )
    if others.exclude(connection=connection).exists():
        raise Refused("other_provider", email=user.email)
