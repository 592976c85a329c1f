"""Users whom a connection must not sign in, whatever its provider says."""

from accounts.models import User
from sso.connections.forcing import forcing_by_domain, forcing_memberships
from sso.models import Connection
from sso.saml.errors import Refused


def refuse_operators_and_inactive(user: User) -> None:
    if user.is_staff:
        raise Refused("operator", email=user.email)
    if not user.is_active:
        raise Refused("inactive", email=user.email)


def refuse_if_forced_elsewhere(connection: Connection, user: User) -> None:
    """Refuse users whom another account forces to use its own provider: a session covers all
    accounts of the user, so that this login would bypass it.

    Of several accounts that force a user, the one whose domain the address is in decides. If all of
    them do so because of a link, each may sign the user in.
    """
    forcing = forcing_by_domain(user, user.email) or {
        member.account_id for member in forcing_memberships(user)
    }
    if forcing and connection.account_id not in forcing:
        raise Refused("other_provider", email=user.email)
