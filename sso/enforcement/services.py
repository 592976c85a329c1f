"""Decides who must sign in by SSO and who may bypass it, and registers that as SSO hooks."""

from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Concat, Length, Right
from django.http import HttpRequest
from django.urls import reverse

from accounts.authorization import sso_hooks
from accounts.models import Membership, User
from accounts.roles import Role
from accounts.sign_in.mfa import has_two_factors
from sso.connections.domains import domain_of
from sso.connections.forcing import forcing_by_domain, forcing_memberships
from sso.login import sso_session
from sso.logout.services import sign_out_path
from sso.models import Connection, Domain, Subject


@sso_hooks.sign_in_path.register
def sign_in_path(email: str) -> str | None:
    """The path that starts a login with the provider of this address's domain."""
    domain = Domain.objects.in_force().filter(name=domain_of(email)).select_related("connection")
    found = domain.first()
    return reverse("sso:begin", args=[found.connection.slug]) if found else None


@sso_hooks.is_forced_address.register
def is_forced_address(email: str) -> bool:
    """True if members with an address of this domain must sign in by SSO."""
    domains = Domain.objects.in_force().filter(connection__is_forced=True)
    return domains.filter(name=domain_of(email)).exists()


@sso_hooks.is_forced.register
def is_forced(user: User) -> bool:
    """True for a present member of an account that forces SSO, if their address is in one of its
    approved domains or they are linked with its provider: changing the address is no bypass.

    Never for operators, who cannot sign in by SSO.
    """
    return not user.is_staff and forcing_memberships(user).exists()


@sso_hooks.may_bypass_sso.register
def may_bypass_sso(user: User) -> bool:
    """True if the user may use other ways of signing in, in every account that forces them: an
    Administrator with a second factor, or the last one. Else an outage of the provider would lock
    the account out.
    """
    return all(_keeps_other_sign_in(user, member) for member in forcing_memberships(user))


@sso_hooks.leaves_forced_domain.register
def leaves_forced_domain(user: User, email: str) -> bool:
    """True if the user is in an approved domain of an account that forces them, and an address in
    `email`'s domain would not be in one of the same account.

    Being linked does not count: the link goes when the account changes its provider. Never for
    operators, who are not forced.
    """
    if user.is_staff:
        return False
    return not forcing_by_domain(user, user.email) <= forcing_by_domain(user, email)


@sso_hooks.has_connection.register
def has_connection(account_id: int) -> bool:
    """True if the account has set up single sign-on."""
    return Connection.objects.filter(account=account_id).exists()


@sso_hooks.reauthentication_path.register
def reauthentication_path(request: HttpRequest) -> str | None:
    """The path of the reauthentication page, for a session that began by SSO."""
    session = sso_session.load(request.session)
    if session is None:
        return None
    is_on = Connection.objects.filter(pk=session.connection_id, is_on=True).exists()
    return reverse("sso:again") if is_on else None


@sso_hooks.sso_required_expression.register
def sso_required_expression() -> Case:
    """`forcing_memberships` as an expression, for a query of one account's memberships."""
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


@sso_hooks.linked_expression.register
def linked_expression() -> Exists:
    """True for members who are linked with a name at the provider."""
    return Exists(Subject.objects.filter(membership=OuterRef("pk")))


def _keeps_other_sign_in(user: User, member: Membership) -> bool:
    if not member.is_administrator:
        return False
    others = Membership.objects.present().filter(
        account=member.account_id, role=Role.ADMINISTRATORS
    )
    return has_two_factors(user) or not others.exclude(pk=member.pk).exists()


sso_hooks.sign_out_path.register(sign_out_path)
