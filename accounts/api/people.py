"""The people of an account, as the API shows them to a caller."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, QuerySet

from accounts.actors import Actor
from accounts.models import Invitation, Membership, User
from accounts.secondfactors import FACTORS


def visible_members(actor: Actor) -> QuerySet[Membership]:
    """Administrators see everybody in the account, also who is switched off; others themselves."""
    member = actor.membership
    assert member is not None
    members = Membership.objects.filter(account=member.account_id, removed_at=None)
    if not actor.is_administrator_of(member.account_id):
        members = members.filter(pk=member.pk)
    return with_standing(members)


def visible_invitations(actor: Actor) -> QuerySet[Invitation]:
    """Who was invited and has not answered yet, for Administrators."""
    member = actor.membership
    assert member is not None
    if not actor.is_administrator_of(member.account_id):
        return Invitation.objects.none()
    invitations = Invitation.objects.open().filter(account=member.account_id)
    return invitations.select_related("account").order_by("pk")


def with_standing(members: QuerySet[Membership]) -> QuerySet[Membership]:
    """What else is told of a user: whether the address is confirmed, and two factors."""
    addresses = EmailAddress.objects.filter(user=OuterRef("user"), verified=True)
    factors = Authenticator.objects.filter(user=OuterRef("user"), type__in=FACTORS)
    return (
        members.select_related("user", "account")
        .annotate(is_confirmed=Exists(addresses), has_two_factors=Exists(factors))
        .order_by("pk")
    )


def as_member(invitation: Invitation) -> Membership:
    """Somebody who was invited, as the member they may become. It holds what the inviter wrote and
    nothing else: whether the portal knows the person already is not for them to learn."""
    user = User(
        pk=invitation.user_id,
        email=invitation.email,
        name=invitation.name,
        language=invitation.language,
    )
    member = Membership(account=invitation.account, user=user, role=invitation.role)
    member.is_confirmed = member.has_two_factors = False  # type: ignore[attr-defined]
    return member


def part(actor: Actor, start: int, stop: int | None) -> list[Membership]:
    """Some of the people: members first, and then who is invited."""
    members, invited = visible_members(actor), visible_invitations(actor)
    found = list(members[start:stop])
    before = members.count()
    rest = invited[max(0, start - before) : None if stop is None else max(0, stop - before)]
    return [*found, *map(as_member, rest)]


def count(actor: Actor) -> int:
    return visible_members(actor).count() + visible_invitations(actor).count()
