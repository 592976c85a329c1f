"""Which accounts force a user to sign in by SSO."""

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value

from accounts.models import Membership, User
from sso.connections.domains import domain_of
from sso.models import Domain


def forcing_memberships(user: User) -> QuerySet[Membership]:
    """The user's memberships in accounts that force them."""
    domains = Domain.objects.in_force().filter(
        connection__account=OuterRef("account"), name=Value(domain_of(user.email))
    )
    is_linked = Q(subject__connection__account=F("account"))
    return (
        Membership.objects.of(user)
        .filter(account__connection__is_on=True, account__connection__is_forced=True)
        .filter(Exists(domains) | is_linked)
    )


def forcing_by_domain(user: User, email: str) -> set[int]:
    """The accounts of the user that force everybody with an address in this domain."""
    domains = Domain.objects.in_force().filter(
        name=domain_of(email),
        connection__is_forced=True,
        connection__account__in=Membership.objects.of(user).values("account"),
    )
    return set(domains.values_list("connection__account", flat=True))
