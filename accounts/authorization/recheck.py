"""Re-authorizes the actor inside the transaction, under the account's lock."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.authorization import token_hooks
from accounts.authorization.actor import Actor
from accounts.authorization.token_hooks import Rights
from accounts.models import Account, Membership, TokenFamily, User
from accounts.roles import Role
from accounts.signals import standing_changed


def lock_account(account_id: int) -> Account:
    """Lock the account's row until the transaction ends: changes of its people are made in turn.

    `no_key` lets others insert rows that refer to it meanwhile. (On SQLite the transaction itself
    is the lock.) Raises `OperationalError` if it stays locked for longer than a request waits.
    """
    return Account.objects.select_for_update(no_key=True).get(pk=account_id)


def reauthorize(by: Actor, at: datetime) -> Actor:
    """Read the actor's rights again: those of the beginning of the request may have ended since.

    Returns the actor as of now. Raises `PermissionDenied` if they may not act at all any more.
    """
    if by.membership is None:
        _refuse_ended_person(by)
        return by
    membership = present(by.membership)
    role, scopes = membership.held_role, by.scopes
    if by.token_id is not None:
        rights = _rights_of_token(by, membership, at)
        role = Role.weaker(role, rights.role)
        scopes = rights.scopes
    if by.family_id is not None:
        _refuse_ended_family(by.family_id, membership, at)
    return replace(by, membership=membership, role=role, scopes=scopes)


def present(member: Membership) -> Membership:
    """Read the member again. Raises `PermissionDenied` if they are none any more."""
    found = Membership.everyone.present().select_related("user", "account").filter(pk=member.pk)
    if (membership := found.first()) is None:
        raise PermissionDenied(_("You no longer belong to this account."))
    return membership


def operators_only(by: Actor, at: datetime) -> Actor:
    """Reauthorize an operator. Raises `PermissionDenied` for everybody else."""
    if not by.is_operator:
        raise PermissionDenied(_("Only operators of the portal can do this."))
    return reauthorize(by, at)


def invalidate_token_cache_on_commit(
    *, user_id: int | None = None, account_id: int | None = None, is_weaker: bool
) -> None:
    """Send `standing_changed` on commit, so that cached tokens are read again: those that this user
    issued, in this account (None: of any user, in any account). If they are weaker now, no process
    accepts after the answer what they were. Services also call it where nothing is left to change.
    """
    facts = {"user_id": user_id, "account_id": account_id, "is_weaker": is_weaker}
    transaction.on_commit(lambda: standing_changed.send(Membership, **facts) and None)


def invalidate_tokens_of_on_commit(member: Membership, *, is_weaker: bool) -> None:
    """The same for the tokens of one member."""
    invalidate_token_cache_on_commit(
        user_id=member.user_id, account_id=member.account_id, is_weaker=is_weaker
    )


def _refuse_ended_person(by: Actor) -> None:
    if by.user is None:
        return
    users = User.objects.filter(pk=by.user.pk, is_active=True)
    if by.is_operator:
        users = users.filter(is_staff=True)
    if not users.exists():
        raise PermissionDenied(_("You no longer have permission to do this. Sign in again."))


def _rights_of_token(by: Actor, issuer: Membership, at: datetime) -> Rights:
    """The rights as of now. What was asked for was checked by those of the beginning: a token that
    has lost one of its scopes since may not go on."""
    rights = token_hooks.rights_of(by.token_id or 0, issuer.pk, at)
    if rights is None:
        raise PermissionDenied(_("The API token you are using is no longer valid."))
    if rights.scopes is not None and (by.scopes is None or not by.scopes <= rights.scopes):
        raise PermissionDenied(_("The API token you are using has fewer scopes now. Try again."))
    return rights


def _refuse_ended_family(family_id: UUID, membership: Membership, at: datetime) -> None:
    if not TokenFamily.objects.live(at).filter(pk=family_id, membership=membership).exists():
        raise PermissionDenied(_("Your session has ended. Sign in again."))
