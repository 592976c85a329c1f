"""Questions about who may issue tokens for a service account: its account's Administrators, and the
members whom it names."""

from accounts.authorization.actor import Actor
from accounts.members.suspension import own_tokens_suspended
from accounts.models import Membership, ServiceAccount, ServiceAccountQuerySet
from accounts.validators import is_id


def may_issue_for(by: Actor, issuer: Membership) -> bool:
    """True if the actor may issue and manage tokens of this issuer, which is a service account."""
    if not issuer.is_service_account:
        return False
    return by.is_administrator_of(issuer.account_id) or _is_named(by, issuer)


def refuse_suspended(by: Actor, issuer: Membership) -> None:
    """Refuse members whose own API tokens are suspended what would give them the use of tokens of
    another issuer. Raises `ValidationError` with the code `suspended`."""
    member = by.membership
    if member is not None and member.has_suspended_tokens and member.pk != issuer.pk:
        raise own_tokens_suspended()


def visible_to(by: Actor) -> ServiceAccountQuerySet:
    """The service accounts for which the actor may issue tokens: nobody sees others."""
    member = by.membership
    if member is None:
        return ServiceAccount.objects.none()
    if by.is_administrator_of(member.account_id):
        return ServiceAccount.objects.of(member.account_id)
    return ServiceAccount.objects.naming(member)


def issuer_with(user_id: int, *, account_id: int) -> Membership | None:
    """The member or service account of the account with this id, unless removed; also one that is
    deactivated."""
    if not is_id(user_id):
        return None
    found = Membership.everyone.filter(account=account_id, user=user_id, removed_at=None)
    return found.select_related("user", "account").first()


def _is_named(by: Actor, issuer: Membership) -> bool:
    member = by.membership
    if member is None or member.account_id != issuer.account_id:
        return False
    return ServiceAccount.objects.naming(member).filter(pk=issuer.pk).exists()
