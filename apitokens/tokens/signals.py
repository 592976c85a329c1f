"""Signal receivers and hooks: what `accounts` has to know of the tokens that a member issued."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef
from django.dispatch import receiver
from django.utils.translation import gettext as _

from accounts.authorization import token_hooks
from accounts.authorization.actor import Actor
from accounts.authorization.token_hooks import Rights
from accounts.models import Membership
from accounts.roles import Role
from accounts.signals import member_leaving, member_role_changing
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.tokens.handover import hand_over_all_of
from apitokens.tokens.services import delete_all_of, fingerprint_of


@receiver(member_leaving)
def delete_or_refuse(
    membership: Membership,
    delete_tokens: bool,
    hand_over_to: Membership | None,
    is_own_wish: bool,
    by: Actor,
    at: datetime,
    **_facts: Any,
) -> None:
    """Veto the removal of a member with active tokens, unless those are handed over or deleted."""
    if hand_over_to is not None:
        hand_over_all_of(issuer=membership, to=hand_over_to, by=by, at=at)
    elif delete_tokens:
        delete_all_of(issuer=membership, by=by, at=at)
    if APIToken.objects.active(at).filter(issuer=membership).exists():
        raise PermissionDenied(_removal_refusal(membership, is_own_wish=is_own_wish))


def _removal_refusal(membership: Membership, *, is_own_wish: bool) -> str:
    if membership.is_service_account:
        return _("You can't remove the service account as it has active tokens")
    if is_own_wish:
        return _("You can't leave the account while you have active tokens")
    return _("You can't remove the user as they have active tokens")


@receiver(member_role_changing)
def refuse_below_tokens(membership: Membership, role: Role, at: datetime, **_facts: Any) -> None:
    """Veto a role below that of an active token that the member issued."""
    roles = APIToken.objects.active(at).filter(issuer=membership).values_list("role", flat=True)
    if not all(role.covers(Role(issued)) for issued in roles.distinct()):
        raise PermissionDenied(
            _("A token of the service account has a higher role. Try using another role.")
            if membership.is_service_account
            else _(
                "The specified user has issued a token with a higher role. Try using another role."
            )
        )


@token_hooks.rights_of.register
def rights_of(token_id: int, membership_id: int, at: datetime) -> Rights | None:
    """The rights of a token of this issuer that is active and not suspended, None for any other."""
    active = APIToken.objects.active(at).filter(issuer=membership_id)
    usable = active.filter(issuer__tokens_suspended_at=None)
    token = usable.filter(pk=token_id).only("role", "scopes").first()
    if token is None:
        return None
    scopes = token.held_scopes
    return Rights(token.held_role, None if scopes is None else frozenset(scopes))


@token_hooks.strongest_role.register
def strongest_role(membership_id: int, at: datetime) -> Role | None:
    """The strongest role of the active tokens that a membership issued; None without any."""
    tokens = APIToken.objects.active(at).filter(issuer=membership_id).order_by()
    roles = map(Role, tokens.values_list("role", flat=True).distinct())
    return min(roles, key=lambda role: role.rank, default=None)


@token_hooks.snapshot.register
def snapshot(membership_id: int, at: datetime) -> str:
    """A fingerprint of which active tokens a membership has issued."""
    return fingerprint_of(APIToken.objects.active(at).filter(issuer=membership_id))


@token_hooks.counts.register
def counts(account_id: int, at: datetime, members: Collection[int] | None = None) -> dict[int, int]:
    """Count the active tokens of the account by issuer; members without any are left out."""
    active = APIToken.objects.active(at).filter(account_id=account_id)
    if members is not None:
        active = active.filter(issuer__in=members)
    counted = active.order_by().values("issuer").annotate(number=Count("*"))
    return dict(counted.values_list("issuer", "number"))


@token_hooks.number.register
def number(account_id: int, at: datetime) -> int:
    """Count the active tokens of the account."""
    return token_services.number(account_id, at=at)


@token_hooks.issuers_among.register
def issuers_among(members: Collection[int], at: datetime) -> set[int]:
    """Those of these members who have issued active tokens."""
    active = APIToken.objects.active(at).filter(issuer=OuterRef("pk"))
    found = Membership.objects.filter(Exists(active), pk__in=members)
    return set(found.values_list("pk", flat=True))
