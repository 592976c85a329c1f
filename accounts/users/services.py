"""Services of users: the only writers of their table."""

from collections.abc import Iterable
from datetime import datetime

from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization import half_sign_ins
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import (
    invalidate_token_cache_on_commit,
    operators_only,
    reauthorize,
)
from accounts.jwt import token_families
from accounts.models import User
from accounts.passwords import policy


@sensitive_variables("password")
@transaction.atomic
def create_user(
    *,
    email: str,
    password: str | None,
    name: str = "",
    time_zone: str = "UTC",
    companies: Iterable[str] = (),
    by: Actor,
    at: datetime,
) -> User:
    """Create a user, who signs in with this password; with None nobody can until one is set.

    The user belongs to no account yet; `companies` are the names of those that they will join.
    Raises `ValidationError` by field.
    """
    by = operators_only(by, at)
    if password is not None:
        _refuse_weak_password(password, User(email=email, name=name), companies)
    user = User.objects.create_user(email, password, name=name, time_zone=time_zone, date_joined=at)
    # The address counts as verified: the operator vouches for it.
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    audit.record("user.created", by=by, at=at, subject=user)
    return user


@sensitive_variables("password")
@transaction.atomic
def set_password(*, user: User, password: str, by: Actor, at: datetime) -> None:
    """Set the user's password, which ends their sessions and their short-lived tokens.

    For the user in person, and for operators. Raises `ValidationError`.
    """
    if by.user != user or by.token_id is not None:
        by = operators_only(by, at)
    _refuse_weak_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    token_families.end_all(user=user, why="password", at=at)
    audit.record("user.password_set", by=by, at=at, subject=user)


@transaction.atomic
def make_operator(*, user: User, by: Actor, at: datetime) -> None:
    """Make the user an operator, with every right in the Django admin."""
    by = operators_only(by, at)
    others = User.objects.exclude(is_staff=True, is_superuser=True)
    if others.filter(pk=user.pk).update(is_staff=True, is_superuser=True):
        audit.record("user.made_operator", by=by, at=at, subject=user)


@transaction.atomic
def deactivate_user(*, user: User, by: Actor, at: datetime) -> None:
    """Deactivate a user: no sign-in, no session, and all their tokens stop at once.

    Raises `PermissionDenied` for operators who would lock themselves out.
    """
    by = operators_only(by, at)
    if by.user == user:
        raise PermissionDenied(_("You can't deactivate yourself. Ask another operator."))
    invalidate_token_cache_on_commit(user_id=user.pk, is_weaker=True)
    if User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        half_sign_ins.end_all(user_id=user.pk)
        token_families.end_all(user=user, why="deactivated", at=at)
        audit.record("user.deactivated", by=by, at=at, subject=user)


@transaction.atomic
def reactivate_user(*, user: User, by: Actor, at: datetime) -> None:
    """Reactivate a user; their API tokens work as before."""
    by = operators_only(by, at)
    if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        invalidate_token_cache_on_commit(user_id=user.pk, is_weaker=False)
        audit.record("user.reactivated", by=by, at=at, subject=user)


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
    """Save a user's profile. Raises `ValidationError`, and `PermissionDenied` for everybody but the
    user and operators."""
    by = reauthorize(by, at)
    if by.user != user:
        by = operators_only(by, at)
    former = User.objects.filter(pk=user.pk).values_list("name", flat=True).first()
    user.name, user.time_zone, user.language, user.phone = name, time_zone, language, phone
    # A name that stays may be of a time with other rules.
    kept = ["name"] if name == former else []
    user.clean_fields(exclude=["password", "email", *kept])
    user.save(update_fields=["name", "time_zone", "language", "phone"])
    audit.record("profile.changed", by=by, at=at, subject=user)
    return user


@sensitive_variables("password")
def _refuse_weak_password(password: str, user: User, companies: Iterable[str] = ()) -> None:
    try:
        policy.refuse_weak_password(password, user, companies=companies)
    except ValidationError as refusal:
        raise ValidationError({"password": refusal.error_list}) from None
