"""Services that suspend and resume the API tokens of members who sign in by single sign-on."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from accounts.models import Membership


@transaction.atomic
def record_sso_sign_in(*, membership: Membership, by: Actor, at: datetime) -> None:
    """Record a sign-in through the identity provider, and resume the member's API tokens if they
    were suspended. A part of the service that signs them in."""
    Membership.objects.filter(pk=membership.pk).update(sso_at=at)
    membership.sso_at = at
    resume_tokens(membership=membership, by=by, at=at)


@transaction.atomic
def suspend_tokens(*, membership: Membership, by: Actor, at: datetime) -> bool:
    """Suspend the member's API tokens in the account until they sign in through the provider.

    False if they have signed in since `membership` was read, were removed, or are suspended
    already. Raises `PermissionDenied` for all but operators: only the account's policy suspends.
    """
    by = recheck.operators_only(by, at)
    as_it_was_read = Membership.objects.filter(
        pk=membership.pk, sso_at=membership.sso_at, removed_at=None, tokens_suspended_at=None
    )
    recheck.invalidate_tokens_of_on_commit(membership, is_weaker=True)
    if not as_it_was_read.update(tokens_suspended_at=at):
        return False
    membership.tokens_suspended_at = at
    _record("member.tokens_suspended", membership, by=by, at=at)
    return True


@transaction.atomic
def resume_tokens(*, membership: Membership, by: Actor, at: datetime) -> bool:
    """Resume the member's API tokens. False if they were not suspended."""
    suspended = Membership.objects.filter(pk=membership.pk, tokens_suspended_at__isnull=False)
    if not suspended.update(tokens_suspended_at=None):
        return False
    membership.tokens_suspended_at = None
    recheck.invalidate_tokens_of_on_commit(membership, is_weaker=False)
    _record("member.tokens_resumed", membership, by=by, at=at)
    return True


@transaction.atomic
def resume_all(*, account_id: int, by: Actor, at: datetime) -> int:
    """Resume all suspended API tokens of the account. Returns the number of members. A part of the
    service that ends the policy, which has reauthorized the actor.

    Raises `ValidationError` with the code `suspended` for a member whose own are among them: they
    come back by signing in, and not by ending the policy.
    """
    if by.membership is not None and by.membership.has_suspended_tokens:
        raise own_tokens_suspended()
    suspended = Membership.objects.filter(account=account_id, tokens_suspended_at__isnull=False)
    members = list(suspended.order_by("pk"))
    return sum(resume_tokens(membership=member, by=by, at=at) for member in members)


def own_tokens_suspended() -> ValidationError:
    """The refusal of those who would go on in spite of it, and the way back."""
    return ValidationError(
        _("Your API tokens are suspended. Sign in through single sign-on, then try again."),
        code="suspended",
    )


def _record(kind: str, membership: Membership, *, by: Actor, at: datetime) -> None:
    audit.record(
        kind,
        by=by,
        at=at,
        account_id=membership.account_id,
        subject=membership,
        user=membership.user_id,
    )
