"""Services of token families: the only writers of their table.

A refresh token works once. Rotating it is one conditional UPDATE whose row count decides, so that
of two requests with the same token only one gets a pair. The other used a copy, nobody can tell
which of them is the thief's, and so all families of that sign-in end.
"""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization import sso_hooks
from accounts.authorization.actor import Actor, EntryPoint
from accounts.authorization.recheck import reauthorize
from accounts.jwt import tokens
from accounts.jwt.tokens import Claims, Ended, Pair
from accounts.models import Membership, TokenFamily, User
from accounts.validators import is_id

REUSED = "reused"


class NoSuchAccount(Exception):
    """The user does not belong to an account with this id."""


class SSOForced(PermissionDenied):
    """The user must sign in by single sign-on, which gives no short-lived tokens."""


def begin(
    *, membership: Membership, by: Actor, at: datetime, after: TokenFamily | None = None
) -> Pair:
    """Begin a family, inside the caller's transaction, which holds the user's row (`lock_user`).

    A family `after` another belongs to the same sign-in, with the same time of sign-in. Raises
    `SSOForced`: no way to a pair may be one around forced single sign-on.
    """
    _refuse_forced(membership.user)
    family = TokenFamily(
        user_id=membership.user_id,
        membership=membership,
        created_at=after.created_at if after else at,
        expires_at=at + settings.JWT_REFRESH_LIFETIME,
        address=by.address,
    )
    if after is not None:
        family.sign_in = after.sign_in
    family.save(force_insert=True)
    audit.record(
        "jwt.issued",
        by=by,
        at=at,
        account_id=membership.account_id,
        subject=membership,
        family=str(family.pk),
    )
    return tokens.sign(family, at=at)


def lock_user(user_id: int) -> User:
    """Lock the user's row: families of a user begin and end one after the other."""
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


def present_member(memberships: Q, *, user: User) -> Membership | None:
    """The first of the user's present memberships that matches, locked until the caller's
    transaction ends."""
    return (
        Membership.objects.of(user)
        .filter(memberships)
        .select_for_update(of=("self",), no_key=True)
        .first()
    )


def authenticate_access_token(presented: str, *, at: datetime, address: str | None) -> Actor:
    """The actor of an access token, read in one query. Raises `Invalid`, or `Ended`."""
    claims = tokens.read(presented, tokens.Access)
    family = (
        TokenFamily.objects.live(at)
        .filter(
            pk=claims.family,
            membership_id=claims.membership,
            membership__removed_at=None,
            membership__user__is_active=True,
            membership__account__closed_at=None,
        )
        .select_related("membership__user", "membership__account")
        .first()
    )
    if family is None:
        raise Ended
    return Actor.bearer(family.membership, family_id=family.pk, address=address)


def has_just_signed_in(family_id: UUID, *, at: datetime) -> bool:
    """True within the time in which the portal would not ask to re-authenticate either."""
    since = at - timedelta(seconds=settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)
    return TokenFamily.objects.filter(pk=family_id, created_at__gt=since).exists()


@sensitive_variables("presented")
def refresh(*, presented: str, at: datetime, address: str | None) -> Pair:
    """A new pair for a refresh token, which is invalid afterwards. Raises `Invalid`, or
    `Ended`.

    A refresh token that is used twice ends all families of its sign-in.
    """
    claims = tokens.read(presented, tokens.Refresh)
    member = (
        Membership.objects.present().filter(pk=claims.membership).select_related("user").first()
    )
    if member is None:
        raise Ended
    try:
        _refuse_forced(member.user)
    except SSOForced:
        raise Ended from None
    if (family := _rotate_refresh_token(claims, at=at)) is not None:
        return tokens.sign(family, at=at)
    _end_reused(claims, at=at, address=address)
    raise Ended


@transaction.atomic
def switch(*, account_id: int, by: Actor, at: datetime) -> Pair:
    """A pair for another account of the same user. Raises `NoSuchAccount`, `SSOForced`, and
    `PermissionDenied` for all who do not act through a short-lived token: an API token stays in its
    account.
    """
    family_id = by.family_id
    if family_id is None or by.user is None:
        raise PermissionDenied(
            _("Only short-lived tokens can be exchanged for tokens of another account.")
        )
    user = lock_user(by.user.pk)
    by = reauthorize(by, at)
    condition = Q(account_id=account_id) if is_id(account_id) else Q(pk=None)
    membership = present_member(condition, user=user)
    if membership is None:
        raise NoSuchAccount
    return begin(membership=membership, by=by, at=at, after=TokenFamily.objects.get(pk=family_id))


@transaction.atomic
def end_all(
    *, user: User | None = None, membership: Membership | None = None, why: str, at: datetime
) -> int:
    """End the families of a user, or those of one membership, and with them every access and
    refresh token, at once. Returns how many were live. The caller writes the event.

    `why` is a stable code: password, deactivated, removed, left.
    """
    if user is not None:
        lock_user(user.pk)
    families = TokenFamily.objects.live(at)
    ending = families.filter(user=user) if user else families.filter(membership=membership)
    return ending.update(ended_at=at, ended_why=why)


def _refuse_forced(user: User) -> None:
    """Raises `SSOForced`: a sign-in by password must neither begin nor go on."""
    if sso_hooks.is_forced(user):
        raise SSOForced(
            _("Your account allows only single sign-on. Sign in to the portal with single sign-on.")
        )


def delete_expired(*, at: datetime) -> int:
    """Delete families whose tokens have all expired. Idempotent."""
    dropped, _by_model = TokenFamily.objects.filter(expires_at__lte=at).delete()
    return dropped


@transaction.atomic
def _rotate_refresh_token(claims: Claims, *, at: datetime) -> TokenFamily | None:
    """Replace the current refresh token. None if this is not the current one of a live family.

    The UPDATE has conditions on its own table only: after waiting for another process, PostgreSQL
    checks those again, but not what it has read from other tables. And it is a transaction by
    itself: PostgreSQL keeps a row locked that it has waited for and that then does not match, which
    must not go on while this process waits for the user's row.
    """
    current = TokenFamily.objects.live(at).filter(
        pk=claims.family, membership_id=claims.membership, current_refresh=claims.jti
    )
    ends_at = at + settings.JWT_REFRESH_LIFETIME
    if not current.update(current_refresh=uuid4(), expires_at=ends_at):
        return None
    return TokenFamily.objects.get(pk=claims.family)


@transaction.atomic
def _end_reused(claims: Claims, *, at: datetime, address: str | None) -> None:
    known = TokenFamily.objects.live(at).filter(pk=claims.family, membership_id=claims.membership)
    family = known.exclude(current_refresh=claims.jti).select_related("membership__user").first()
    if family is None:
        return
    lock_user(family.user_id)
    ended = TokenFamily.objects.live(at).filter(sign_in=family.sign_in)
    if not ended.update(ended_at=at, ended_why=REUSED):
        return
    audit.record(
        "jwt.reused",
        by=Actor(through=EntryPoint.API, user=family.membership.user, address=address),
        at=at,
        account_id=family.membership.account_id,
        subject=family.membership,
        family=str(family.pk),
    )
