"""Services of members: adding, re-roling and removing them.

Each locks the account's row first and reauthorizes the actor after that: of two Administrators who
demote each other at the same moment, the second is refused.
"""

from datetime import datetime

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization import recheck, token_hooks
from accounts.authorization.actor import Actor
from accounts.authorization.shown import fingerprint, refuse_changed
from accounts.jwt import token_families
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Role
from accounts.signals import member_leaving, member_role_changing
from accounts.validators import is_id


@transaction.atomic
def add_member(*, account: Account, user: User, role: Role, by: Actor, at: datetime) -> Membership:
    """Make the user a member of the account, or bring a removed member back with this role.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, and
    `ValidationError` if the user is a member already; use `change_role`.
    """
    recheck.lock_account(account.pk)
    by = recheck.reauthorize(by, at)
    if not may_manage(by, account.pk):
        raise PermissionDenied(_("Only Administrators can add users to the account."))
    membership = join(account=account, user=user, role=role, at=at)
    # An open invitation has no purpose any more.
    Invitation.objects.open().filter(account=account, user=user).update(withdrawn_at=at)
    audit.record(
        "member.added",
        by=by,
        at=at,
        account=account,
        subject=membership,
        user=user.pk,
        role=role.label,
    )
    return membership


@transaction.atomic
def change_role(*, membership: Membership, role: Role, by: Actor, at: datetime) -> bool:
    """Give a member another role. False if they have it already.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, for the
    last Administrator, for a role below that of an active token that the member issued, and
    `ValidationError` for a removed member.
    """
    recheck.lock_account(membership.account_id)
    by = recheck.reauthorize(by, at)
    if not may_manage(by, membership.account_id):
        raise PermissionDenied(_("Only Administrators can change roles."))
    before = _reread(membership)
    recheck.invalidate_tokens_of_on_commit(membership, is_weaker=True)
    if before is role:
        return False
    _refuse_last_administrator(membership)
    _end_naming_above(membership, role, by=by, at=at)
    member_role_changing.send(Membership, membership=membership, role=role, by=by, at=at)
    membership.role = role
    membership.save(update_fields=["role"])
    audit.record(
        "member.role_changed",
        by=by,
        at=at,
        account_id=membership.account_id,
        subject=membership,
        user=membership.user_id,
        before=before.label,
        after=role.label,
    )
    return True


@transaction.atomic
def remove_member(
    *,
    membership: Membership,
    delete_tokens: bool = False,
    hand_over_to: Membership | None = None,
    shown: str | None = None,
    by: Actor,
    at: datetime,
) -> bool:
    """End a membership, also of a service account; its row stays, because tokens name it as their
    issuer. False if it has ended already.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, for the
    last Administrator, and for members with active tokens unless those are to be deleted too, or
    handed over to another issuer of the account; `ValidationError` if `shown` is no longer the
    `snapshot`.
    """
    recheck.lock_account(membership.account_id)
    by = recheck.reauthorize(by, at)
    if not may_manage(by, membership.account_id):
        raise PermissionDenied(_("Only Administrators can remove users from the account."))
    return _end(
        membership,
        "removed",
        delete_tokens=delete_tokens,
        hand_over_to=hand_over_to,
        shown=shown,
        by=by,
        at=at,
    )


@transaction.atomic
def leave_account(
    *,
    membership: Membership,
    delete_tokens: bool = False,
    shown: str | None = None,
    by: Actor,
    at: datetime,
) -> bool:
    """End one's own membership, as `remove_member` does.

    Raises `PermissionDenied` for the last Administrator, for members with active tokens unless
    those are to be deleted too, for everybody but the member, and for API tokens: only the person
    decides this.
    """
    recheck.lock_account(membership.account_id)
    by = recheck.reauthorize(by, at)
    if not by.is_member(membership) or by.token_id is not None:
        raise PermissionDenied(_("You can leave an account only for yourself."))
    return _end(membership, "left", delete_tokens=delete_tokens, shown=shown, by=by, at=at)


def wait_for_end(*, account_id: int, user_id: int, by: Actor) -> None:
    """For who may find nobody to remove: if they were removed before, wait until all processes
    know, as with a removal."""
    if not (may_manage(by, account_id) and is_id(user_id)):
        return
    of_them = Membership.everyone.filter(account=account_id, user=user_id)
    if of_them.filter(removed_at__isnull=False).exists():
        recheck.invalidate_token_cache_on_commit(
            user_id=user_id, account_id=account_id, is_weaker=True
        )


def snapshot(membership: Membership, *, at: datetime) -> str:
    """A fingerprint of what the end of a membership takes: this membership, with the role that it
    has and the active tokens that it has issued."""
    return fingerprint(
        membership.pk,
        membership.created_at,
        membership.held_role.value,
        token_hooks.snapshot(membership.pk, at),
    )


def may_manage(by: Actor, account_id: int) -> bool:
    """True for operators and for Administrators, in person or by token, of exactly this account."""
    return by.is_operator or by.is_administrator_of(account_id)


def join(*, account: Account, user: User, role: Role, at: datetime) -> Membership:
    """Create the membership, or bring it back: the part that all ways into an account share.

    The caller holds the account's lock, has authorized the actor, and writes the event. Raises
    `ValidationError` for a present member, and for a service account: it belongs to one account.
    """
    if user.is_service_account:
        raise ValidationError(
            _("A service account can't belong to other accounts."), code="service_account"
        )
    if Membership.objects.filter(account=account, user=user, removed_at=None).exists():
        raise ValidationError(_("The user is already a member."), code="already_member")
    membership, _made = Membership.objects.update_or_create(
        account=account,
        user=user,
        # A returning member begins anew: how they signed in meanwhile is not the account's
        # business, and their former sign-ins here no longer count.
        defaults={
            "role": role,
            "removed_at": None,
            "created_at": at,
            "sso_at": None,
            "tokens_suspended_at": None,
        },
    )
    recheck.invalidate_token_cache_on_commit(
        user_id=user.pk, account_id=account.pk, is_weaker=False
    )
    return membership


def _end(
    membership: Membership,
    why: str,
    *,
    delete_tokens: bool,
    hand_over_to: Membership | None = None,
    shown: str | None,
    by: Actor,
    at: datetime,
) -> bool:
    recheck.invalidate_tokens_of_on_commit(membership, is_weaker=True)
    if hand_over_to is not None:  # who asks about their tokens hears whose they are now
        recheck.invalidate_tokens_of_on_commit(hand_over_to, is_weaker=True)
    if not Membership.everyone.filter(pk=membership.pk, removed_at=None).exists():
        return False
    _reread(membership)
    if shown is not None:
        refuse_changed(shown, snapshot(membership, at=at))
    _refuse_last_administrator(membership)
    member_leaving.send(
        Membership,
        membership=membership,
        delete_tokens=delete_tokens,
        hand_over_to=hand_over_to,
        is_own_wish=why == "left",
        by=by,
        at=at,
    )
    membership.removed_at = at
    membership.save(update_fields=["removed_at"])
    token_families.end_all(membership=membership, why=why, at=at)
    membership.may_issue_for.clear()
    membership.contact_of.update(contact=None)
    audit.record(
        f"member.{why}",
        by=by,
        at=at,
        account_id=membership.account_id,
        subject=membership,
        user=membership.user_id,
        role=membership.held_role.label,
    )
    return True


def _end_naming_above(membership: Membership, role: Role, *, by: Actor, at: datetime) -> None:
    """End the right to issue tokens for service accounts that are stronger than the member's new,
    lower role: who loses a role must not keep its power through one of them. An Administrator may
    name the member again."""
    if role.covers(membership.held_role):
        return
    named = membership.may_issue_for.select_related("membership__user", "membership__account")
    for above in [each for each in named if not role.covers(each.held_role)]:
        above.issuers.remove(membership)
        audit.record(
            "service_account.issuer_dropped",
            by=by,
            at=at,
            account_id=membership.account_id,
            subject=above.membership,
            user=membership.user_id,
            name=membership.user.get_full_name(),
        )


def _reread(membership: Membership) -> Role:
    """Read the member again, under the lock. Raises `ValidationError` if they were removed."""
    membership.refresh_from_db(fields=["role", "created_at", "removed_at"])
    if membership.is_removed:
        raise ValidationError(_("The user no longer belongs to this account."), code="not_member")
    return membership.held_role


def _refuse_last_administrator(membership: Membership) -> None:
    if membership.is_administrator and not _has_other_administrator(membership):
        raise PermissionDenied(
            _(
                "This is the account's last Administrator, and an account needs at least one. "
                "Make someone else an Administrator first."
            )
        )


def _has_other_administrator(membership: Membership) -> bool:
    # Of a closed account, too, for operators: `present` would find nobody there.
    return (
        Membership.objects.filter(
            account_id=membership.account_id,
            role=Role.ADMINISTRATORS,
            removed_at=None,
            user__is_active=True,
        )
        .exclude(pk=membership.pk)
        .exists()
    )
