"""The verbs of people and accounts: the only writers of their tables."""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account, Membership, User
from accounts.roles import Role
from accounts.signals import member_leaving, standing_changed


@transaction.atomic
def open_account(*, name: str, by: Actor, at: datetime) -> Account:
    """Open an account with the default token limit. Raises `ValidationError`."""
    account = Account(name=name, created_at=at)
    account.full_clean()
    account.save()
    audit.record("account.opened", by=by, at=at, account=account, subject=account, name=name)
    return account


@transaction.atomic
def rename_account(*, account: Account, name: str, by: Actor, at: datetime) -> None:
    """Give the account another name. Raises `ValidationError`; dull if it has this name."""
    _operators_only(by)
    _change_account(account, "name", name, kind="account.renamed", by=by, at=at)


@transaction.atomic
def change_token_limit(*, account: Account, limit: int, by: Actor, at: datetime) -> None:
    """Let the account have up to `limit` active API tokens. Those it has beyond stay as they are.

    Raises `ValidationError`; dull if this is the limit already.
    """
    _operators_only(by)
    _change_account(account, "token_limit", limit, kind="account.limit_changed", by=by, at=at)


@transaction.atomic
def close_account(*, account: Account, by: Actor, at: datetime) -> None:
    """Close the account: nobody works in it and its API tokens are refused, at once."""
    _operators_only(by)
    if Account.objects.filter(pk=account.pk, closed_at=None).update(closed_at=at):
        audit.record("account.closed", by=by, at=at, account=account, subject=account)
        _tell_standing(account)


@transaction.atomic
def reopen_account(*, account: Account, by: Actor, at: datetime) -> None:
    """Open a closed account again, with its people and its tokens as they were."""
    _operators_only(by)
    if Account.objects.filter(pk=account.pk, closed_at__isnull=False).update(closed_at=None):
        audit.record("account.reopened", by=by, at=at, account=account, subject=account)
        _tell_standing(account)


@sensitive_variables("password")
@transaction.atomic
def create_user(
    *,
    email: str,
    password: str | None,
    name: str = "",
    time_zone: str = "UTC",
    by: Actor,
    at: datetime,
) -> User:
    """Make a person who can sign in with this password; with None nobody can until one is set.

    They belong to no account yet. Raises `ValidationError` by field.
    """
    _operators_only(by)
    if password is not None:
        _refuse_weak_password(password, User(email=email, name=name))
    user = User.objects.create_user(email, password, name=name, time_zone=time_zone, date_joined=at)
    # The address is taken as proven: the operator vouches for it.
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    audit.record("user.created", by=by, at=at, subject=user)
    return user


@sensitive_variables("password")
@transaction.atomic
def set_password(*, user: User, password: str, by: Actor, at: datetime) -> None:
    """Give the user another password, which ends their sessions. By themselves or an operator.

    Raises `ValidationError`.
    """
    if by.user != user:
        _operators_only(by)
    _refuse_weak_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record("user.password_set", by=by, at=at, subject=user)


@transaction.atomic
def make_operator(*, user: User, by: Actor, at: datetime) -> None:
    """Let the user into the Django admin, with every right there."""
    _operators_only(by)
    others = User.objects.exclude(is_staff=True, is_superuser=True)
    if others.filter(pk=user.pk).update(is_staff=True, is_superuser=True):
        audit.record("user.made_operator", by=by, at=at, subject=user)


@transaction.atomic
def deactivate_user(*, user: User, by: Actor, at: datetime) -> None:
    """Switch a user off: no sign-in, no session, and all their API tokens stop at once.

    Raises `PermissionDenied` for somebody who would lock themselves out.
    """
    _operators_only(by)
    if by.user == user:
        raise PermissionDenied(_("You can't switch yourself off. Ask another operator."))
    if User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        audit.record("user.deactivated", by=by, at=at, subject=user)
        _tell_standing(user)


@transaction.atomic
def restore_user(*, user: User, by: Actor, at: datetime) -> None:
    """Switch a user on again; their API tokens work as before."""
    _operators_only(by)
    if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        audit.record("user.restored", by=by, at=at, subject=user)
        _tell_standing(user)


@transaction.atomic
def add_member(*, account: Account, user: User, role: Role, by: Actor, at: datetime) -> Membership:
    """Make the user a member of the account, or bring a removed member back with this role.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, and
    `ValidationError` for a present member: another role is another story.
    """
    if not (by.is_operator or by.is_administrator_of(account.pk)):
        raise PermissionDenied(_("Only Administrators add users to the account."))
    if Membership.objects.filter(account=account, user=user, removed_at=None).exists():
        raise ValidationError(_("The user is a member already."), code="already_member")
    membership, _made = Membership.objects.update_or_create(
        account=account,
        user=user,
        defaults={"role": role, "removed_at": None},
        create_defaults={"role": role, "created_at": at},
    )
    audit.record("member.added", by=by, at=at, account=account, subject=membership, role=role.label)
    _tell_standing(membership)
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
    _tell_standing(membership)


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


def _operators_only(by: Actor) -> None:
    if not by.is_operator:
        raise PermissionDenied(_("Only operators of the portal do this."))


def _tell_standing(changed: Account | User | Membership) -> None:
    """Let everybody forget, once it is true, what they knew of the people concerned."""
    transaction.on_commit(lambda: standing_changed.send(type(changed), changed=changed))


def _change_account(
    account: Account, field: str, value: Any, *, kind: str, by: Actor, at: datetime
) -> None:
    """Set one field, and record what it was and is. Dull if it says so already."""
    present = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    before = getattr(present, field)
    if before == value:
        return
    setattr(present, field, value)
    present.clean_fields()
    present.save(update_fields=[field])
    audit.record(kind, by=by, at=at, account=present, subject=present, before=before, after=value)


@sensitive_variables("password")
def _refuse_weak_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as refusal:
        raise ValidationError({"password": refusal.error_list}) from None


def _has_other_administrator(membership: Membership) -> bool:
    return (
        Membership.objects.present()
        .filter(account_id=membership.account_id, role=Role.ADMINISTRATORS)
        .exclude(pk=membership.pk)
        .exists()
    )
