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
from accounts.jwt import families
from accounts.models import Account, User
from accounts.standing import announce, as_of_now


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
    """Give the account another name. Dull if it has this name.

    Raises `ValidationError`, and `PermissionDenied` unless an operator or an Administrator asks.
    """
    by = as_of_now(by, at)
    if not (by.is_operator or by.is_administrator_of(account.pk)):
        raise PermissionDenied(_("Only Administrators change the company name."))
    _change_account(account, "name", name.strip(), kind="account.renamed", by=by, at=at)


@transaction.atomic
def change_token_limit(*, account: Account, limit: int, by: Actor, at: datetime) -> None:
    """Let the account have up to `limit` active API tokens. Those it has beyond stay as they are.

    Raises `ValidationError`; dull if this is the limit already.
    """
    by = _operators_only(by, at)
    _change_account(account, "token_limit", limit, kind="account.limit_changed", by=by, at=at)


@transaction.atomic
def close_account(*, account: Account, by: Actor, at: datetime) -> None:
    """Close the account: nobody works in it and its API tokens are refused, at once."""
    by = _operators_only(by, at)
    if Account.objects.filter(pk=account.pk, closed_at=None).update(closed_at=at):
        announce(account_id=account.pk)
        audit.record("account.closed", by=by, at=at, account=account, subject=account)


@transaction.atomic
def reopen_account(*, account: Account, by: Actor, at: datetime) -> None:
    """Open a closed account again, with its people and its tokens as they were."""
    by = _operators_only(by, at)
    if Account.objects.filter(pk=account.pk, closed_at__isnull=False).update(closed_at=None):
        announce(account_id=account.pk)
        audit.record("account.reopened", by=by, at=at, account=account, subject=account)


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
    by = _operators_only(by, at)
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
    """Give the user another password, which ends their sessions and their short-lived tokens.

    By themselves, in person, or an operator. Raises `ValidationError`.
    """
    if by.user != user or by.token_id is not None:
        by = _operators_only(by, at)
    _refuse_weak_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    families.end_all(user=user, why="password", at=at)
    audit.record("user.password_set", by=by, at=at, subject=user)


@transaction.atomic
def make_operator(*, user: User, by: Actor, at: datetime) -> None:
    """Let the user into the Django admin, with every right there."""
    by = _operators_only(by, at)
    others = User.objects.exclude(is_staff=True, is_superuser=True)
    if others.filter(pk=user.pk).update(is_staff=True, is_superuser=True):
        audit.record("user.made_operator", by=by, at=at, subject=user)


@transaction.atomic
def deactivate_user(*, user: User, by: Actor, at: datetime) -> None:
    """Switch a user off: no sign-in, no session, and all their tokens stop at once.

    Raises `PermissionDenied` for somebody who would lock themselves out.
    """
    by = _operators_only(by, at)
    if by.user == user:
        raise PermissionDenied(_("You can't switch yourself off. Ask another operator."))
    if User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        families.end_all(user=user, why="deactivated", at=at)
        announce(user_id=user.pk)
        audit.record("user.deactivated", by=by, at=at, subject=user)


@transaction.atomic
def restore_user(*, user: User, by: Actor, at: datetime) -> None:
    """Switch a user on again; their API tokens work as before."""
    by = _operators_only(by, at)
    if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        announce(user_id=user.pk)
        audit.record("user.restored", by=by, at=at, subject=user)


@transaction.atomic
def change_profile(
    *,
    user: User,
    name: str,
    time_zone: str,
    language: str,
    phone: str,
    by: Actor,
    at: datetime,
) -> User:
    """Keep what a person says about themselves. Raises `ValidationError`, and `PermissionDenied`
    for everybody but themselves and operators."""
    by = as_of_now(by, at)
    if by.user != user:
        by = _operators_only(by, at)
    user.name, user.time_zone, user.language, user.phone = name, time_zone, language, phone
    user.clean_fields(exclude=["password", "email"])
    user.save(update_fields=["name", "time_zone", "language", "phone"])
    audit.record("profile.changed", by=by, at=at, subject=user)
    return user


def _operators_only(by: Actor, at: datetime) -> Actor:
    """The operator as of now. Raises `PermissionDenied` for everybody else."""
    if not by.is_operator:
        raise PermissionDenied(_("Only operators of the portal do this."))
    return as_of_now(by, at)


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
