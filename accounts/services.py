"""The verbs of people and accounts: the only writers of their tables."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account, Membership, User
from accounts.roles import Role
from accounts.signals import member_leaving


@transaction.atomic
def open_account(*, name: str, by: Actor, at: datetime) -> Account:
    """Open an account with the default token limit. Raises `ValidationError`."""
    account = Account(name=name, created_at=at)
    account.full_clean()
    account.save()
    audit.record("account.opened", by=by, at=at, account=account, subject=account, name=name)
    return account


@transaction.atomic
def add_member(*, account: Account, user: User, role: Role, by: Actor, at: datetime) -> Membership:
    """Make the user a member of the account, or bring a removed member back with this role."""
    membership, _made = Membership.objects.update_or_create(
        account=account,
        user=user,
        defaults={"role": role, "removed_at": None},
        create_defaults={"role": role, "created_at": at},
    )
    audit.record("member.added", by=by, at=at, account=account, subject=membership, role=role.label)
    return membership


@transaction.atomic
def remove_member(*, membership: Membership, by: Actor, at: datetime) -> None:
    """End a membership; its row stays, because tokens name it as their issuer.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, for the
    last Administrator, and for members whose leaving another app refuses (active tokens).
    """
    if not (by.is_operator or by.is_administrator_of(membership.account_id)):
        raise PermissionDenied(_("Only Administrators remove users from the account."))
    Account.objects.select_for_update(no_key=True).get(pk=membership.account_id)
    if membership.held_role is Role.ADMINISTRATORS and not _has_other_administrator(membership):
        raise PermissionDenied(_("The account needs an Administrator: this user is the last one."))
    member_leaving.send(Membership, membership=membership, by=by, at=at)
    if not Membership.objects.filter(pk=membership.pk, removed_at=None).update(removed_at=at):
        return
    membership.removed_at = at
    audit.record(
        "member.removed", by=by, at=at, account_id=membership.account_id, subject=membership
    )


@transaction.atomic
def change_profile(
    *, user: User, name: str, time_zone: str, language: str, by: Actor, at: datetime
) -> User:
    """Keep what a person says about themselves. Raises `ValidationError`."""
    user.name, user.time_zone, user.language = name, time_zone, language
    user.clean_fields(exclude=["password", "email"])
    user.save(update_fields=["name", "time_zone", "language"])
    audit.record("profile.changed", by=by, at=at, subject=user)
    return user


def _has_other_administrator(membership: Membership) -> bool:
    return (
        Membership.objects.present()
        .filter(account_id=membership.account_id, role=Role.ADMINISTRATORS)
        .exclude(pk=membership.pk)
        .exists()
    )
