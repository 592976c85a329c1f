"""Decides who must sign in through an identity provider, and who may bypass it."""

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Concat, Length, Right
from django.http import HttpRequest
from django.urls import reverse

from accounts.authorization import sso_hooks
from accounts.models import Membership, User
from accounts.roles import Role
from accounts.sign_in.mfa import has_two_factors
from sso.connections.domains import domain_of
from sso.login import sso_session
from sso.logout.services import sign_out_path
from sso.models import Connection, Domain


@sso_hooks.sign_in_path.register
def sign_in_path(email: str) -> str | None:
    """The path to the identity provider of this address's domain."""
    domain = Domain.objects.in_force().filter(name=domain_of(email)).select_related("connection")
    found = domain.first()
    return reverse("sso:begin", args=[found.connection.slug]) if found else None


@sso_hooks.is_forced_address.register
def is_forced_address(email: str) -> bool:
    """True if members with an address in this domain must sign in there."""
    domains = Domain.objects.in_force().filter(connection__is_forced=True)
    return domains.filter(name=domain_of(email)).exists()


@sso_hooks.is_forced.register
def is_forced(user: User) -> bool:
    """True for a present member of an account that forces it, if their address is in one of its
    approved domains, or they are linked with its provider: another address is no way around.

    Never for operators, whom no provider lets in.
    """
    return not user.is_staff and forcing(user).exists()


@sso_hooks.may_bypass_sso.register
def may_bypass_sso(user: User) -> bool:
    """True for the Administrators, with two factors or as the last one, of all accounts that force
    them. A provider that is down must not lock an account for good.
    """
    return all(_is_fallback_administrator(user, member) for member in forcing(user))


@sso_hooks.reauthentication_path.register
def reauthentication_path(request: HttpRequest) -> str | None:
    """The path to re-authenticate at the provider, for people who signed in there."""
    came = sso_session.recall(request.session)
    if came is None or not Connection.objects.filter(pk=came.connection_id, is_on=True).exists():
        return None
    return reverse("sso:again")


def forcing(user: User) -> QuerySet[Membership]:
    """The memberships whose account forces single sign-on for this user."""
    domains = Domain.objects.in_force().filter(
        connection__account=OuterRef("account"), name=Value(domain_of(user.email))
    )
    is_linked = Q(subject__connection__account=F("account"))
    return (
        Membership.objects.of(user)
        .filter(account__connection__is_on=True, account__connection__is_forced=True)
        .filter(Exists(domains) | is_linked)
    )


@sso_hooks.sso_required_expression.register
def sso_required_expression() -> Case:
    """The same as `forcing`, of one account, for many of its memberships in their own query."""
    domains = (
        Domain.objects.in_force()
        .filter(connection__account=OuterRef("account"))
        .alias(end=Right(OuterRef("user__email"), Length("name") + 1))
        .filter(end=Concat(Value("@"), F("name")))
    )
    forces = Q(account__connection__is_on=True, account__connection__is_forced=True)
    is_concerned = Exists(domains) | Q(subject__connection__account=F("account"))
    return Case(
        When(forces & Q(user__is_staff=False) & is_concerned, then=Value(True)),
        default=Value(False),
    )


def _is_fallback_administrator(user: User, member: Membership) -> bool:
    if not member.is_administrator:
        return False
    others = Membership.objects.present().filter(
        account=member.account_id, role=Role.ADMINISTRATORS
    )
    return has_two_factors(user) or not others.exclude(pk=member.pk).exists()


sso_hooks.sign_out_path.register(sign_out_path)
