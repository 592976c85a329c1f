"""Querysets of the users of an account, as the API shows them to a caller."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, QuerySet

from accounts.all_users import listing as all_users
from accounts.authorization import sso_hooks
from accounts.authorization.actor import Actor
from accounts.models import Invitation, Membership, User
from accounts.sign_in.mfa import FACTORS


def members(actor: Actor) -> QuerySet[Membership]:
    """The members whom the caller may see, annotated with whether the address is confirmed, whether
    they have two factors, and whether single sign-on is forced."""
    return _annotated(all_users.visible_members(actor))


def oneself(actor: Actor) -> Membership:
    """The caller, likewise; also a service account, which no list of users has."""
    assert actor.membership is not None
    found = Membership.everyone.select_related("user", "account")
    return _annotated(found).get(pk=actor.membership.pk)


def _annotated(members: QuerySet[Membership]) -> QuerySet[Membership]:
    addresses = EmailAddress.objects.filter(user=OuterRef("user"), verified=True)
    factors = Authenticator.objects.filter(user=OuterRef("user"), type__in=FACTORS)
    return members.annotate(
        is_confirmed=Exists(addresses),
        has_two_factors=Exists(factors),
        is_forced=sso_hooks.sso_required_expression(),
    ).order_by("pk")


def invitations(actor: Actor) -> QuerySet[Invitation]:
    """The open invitations, for Administrators."""
    return all_users.invitations_of(actor).order_by("pk")


def as_member(invitation: Invitation) -> Membership:
    """The invited user as the member they may become. It holds what the inviter wrote and nothing
    else: the API must not reveal whether the portal knew the person already."""
    user = User(
        pk=invitation.user_id,
        email=invitation.email,
        name=invitation.name,
        language=invitation.language,
    )
    member = Membership(account=invitation.account, user=user, role=invitation.role)
    for name in ("is_confirmed", "has_two_factors", "is_forced"):
        setattr(member, name, False)
    return member


class Users:
    """The users whom the caller may see: members first, then invited ones. Counted once for all
    slices."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.members = all_users.visible_members(actor).count()

    def __len__(self) -> int:
        return self.members + invitations(self.actor).count()

    def part(self, start: int, stop: int) -> list[Membership]:
        # By ids alone at first: what is annotated would be looked up for those before them, too.
        visible = all_users.visible_members(self.actor).order_by("pk")
        ids = list(visible.values_list("pk", flat=True)[start:stop])
        found = list(members(self.actor).filter(pk__in=ids))
        invited = invitations(self.actor)
        rest = invited[max(0, start - self.members) : max(0, stop - self.members)]
        return [*found, *map(as_member, rest)]
