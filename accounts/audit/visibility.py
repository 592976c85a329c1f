"""Visibility of audit events."""

from django.db.models import Exists, OuterRef, Q

from accounts.audit.parts import Events
from accounts.authorization.actor import Actor
from accounts.models import Membership, MembershipQuerySet


def events_visible_to(actor: Actor) -> Events:
    """The events that the actor may see.

    Administrators see all events of the account, and those of its people outside of any account
    (sign-ins) while they belonged to it; others see what they did in it, and events about
    themselves.
    """
    member = actor.membership
    if member is None:
        return Events.none()
    if actor.is_administrator_of(member.account_id):
        return Events([Q(account=member.account_id), _about_people_of(member.account_id)])
    return Events(
        [
            Q(user=member.user_id),
            Q(subject_type="user", subject_id=member.user_id),
            Q(subject_type="membership", subject_id=member.pk),
        ],
        [Q(account=member.account_id) | Q(account__isnull=True)],
    )


def _about_people_of(account_id: int) -> Q:
    """Events outside of any account about people who belonged to this one when they happened."""
    members = Membership.objects.filter(account=account_id)
    return Q(
        Exists(_people_of(account_id)),
        account__isnull=True,
        subject_type="user",
        subject_id__in=members.values("user_id"),
    )


def _people_of(account_id: int) -> MembershipQuerySet:
    """Memberships of the account that the user of an event (outside) had when it happened."""
    return Membership.objects.filter(
        Q(removed_at__isnull=True) | Q(removed_at__gte=OuterRef("at")),
        account=account_id,
        user=OuterRef("subject_id"),
        created_at__lte=OuterRef("at"),
    )
