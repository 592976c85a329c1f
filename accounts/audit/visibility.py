"""Visibility of audit events."""

from django.db.models import Exists, OuterRef, Q

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, AuditEventQuerySet, Membership, MembershipQuerySet


def events_visible_to(actor: Actor) -> AuditEventQuerySet:
    """The events that the actor may see.

    Administrators see all events of the account, and those of its people outside of any account
    (sign-ins) while they belonged to it; others see what they did in it, and events about
    themselves.
    """
    member = actor.membership
    if member is None:
        return AuditEvent.objects.none()
    if actor.is_administrator_of(member.account_id):
        return AuditEvent.objects.filter(
            Q(account=member.account_id)
            | Q(
                Exists(_people_of(member.account_id)),
                account__isnull=True,
                subject_type="user",
                subject_id__in=list(
                    Membership.everyone.filter(account=member.account_id).values_list(
                        "user_id", flat=True
                    )
                ),
            )
        )
    return AuditEvent.objects.filter(
        Q(account=member.account_id) | Q(account__isnull=True),
        Q(user=member.user_id)
        | Q(subject_type="user", subject_id=member.user_id)
        | Q(subject_type="membership", subject_id=member.pk),
    )


def _people_of(account_id: int) -> MembershipQuerySet:
    """Memberships of the account that the user of an event (outside) had when it happened."""
    return Membership.everyone.filter(
        Q(removed_at__isnull=True) | Q(removed_at__gte=OuterRef("at")),
        account=account_id,
        user=OuterRef("subject_id"),
        created_at__lte=OuterRef("at"),
    )
