"""Visibility of audit events."""

from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.db.models.lookups import Exact

from accounts.audit.parts import Events
from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership, MembershipQuerySet

OUTSIDE = Q(account__isnull=True, subject_type="user")
"""Events outside of any account about users."""
FEW_PEOPLE = 1_000
"""So many and fewer are looked for one by one, by an index."""


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
        own = Q(account=member.account_id)
        outside, counted = _about_people_of(member.account_id)
        return Events([own, outside], counted=Events([own, counted]))
    return Events(
        [
            Q(user=member.user_id),
            Q(subject_type="user", subject_id=member.user_id),
            Q(subject_type="membership", subject_id=member.pk),
        ],
        [Q(account=member.account_id) | Q(account__isnull=True)],
    )


def events_of_token(token_id: int, *, visible_to: Actor) -> Events:
    """Of the events that the actor may see those about this API token, or through it."""
    visible = events_visible_to(visible_to)
    of_token = Q(through_token=token_id), Q(subject_type="apitoken", subject_id=token_id)
    member = visible_to.membership
    if (
        member
        and visible_to.is_administrator_of(member.account_id)
        and _has_token(member, token_id)
    ):
        # PostgreSQL would collect all events of the account beside those of the token.
        own = _compared(Q(account=member.account_id))
        outside, _counted = _about_people_of(member.account_id)
        return Events([own, outside], of_token, among=visible)
    return visible.narrowed(*of_token)


def _has_token(member: Membership, token_id: int) -> bool:
    """Whether the newest event about the token is one of the member's account, as all of them."""
    events = AuditEvent.objects.filter(subject_type="apitoken", subject_id=token_id)
    newest = events.order_by("-at").values_list("account", flat=True)[:1]
    return list(newest) == [member.account_id]


def _compared(condition: Q) -> Q:
    """The condition for a query that shall not begin with it."""
    return Q(Exact(Case(When(condition, then=Value(True)), default=Value(False)), Value(True)))


def _about_people_of(account_id: int) -> tuple[Q, Q]:
    """Events outside of any account about people who belonged to this one when they happened: as
    the latest of them are found, and as they are counted."""
    belonged = Q(Exists(_people_of(account_id)))
    members = Membership.everyone.filter(account=account_id).values_list("user_id", flat=True)
    ids = list(members[: FEW_PEOPLE + 1])
    if len(ids) <= FEW_PEOPLE:
        of_few = OUTSIDE & belonged & Q(subject_id__in=ids)
        return of_few, of_few
    # Of many people there is one among the latest events. As a condition alone PostgreSQL would
    # make a join of it, collect the events of all of them, and sort those. To count, it may join.
    return _compared(belonged) & OUTSIDE, belonged & OUTSIDE


def _people_of(account_id: int) -> MembershipQuerySet:
    """Memberships of the account that the user of an event (outside) had when it happened."""
    return Membership.everyone.filter(
        Q(removed_at__isnull=True) | Q(removed_at__gte=OuterRef("at")),
        account=account_id,
        user=OuterRef("subject_id"),
        created_at__lte=OuterRef("at"),
    )
