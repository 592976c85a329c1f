"""The services that hand tokens over to another issuer: the same id and secret, no interruption.

What a token may do stays as it is, so the receiver's role must suffice for it. Only Administrators
and operators hand over: an issuer cannot make others answer for their tokens.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import (
    invalidate_tokens_of_on_commit,
    lock_account,
    reauthorize,
)
from accounts.members.suspension import own_tokens_suspended
from accounts.models import Account, Membership
from apitokens.models import APIToken, APITokenQuerySet
from apitokens.tokens.notifications import notify_handed_over
from apitokens.tokens.rules import (
    FORBIDDEN,
    SUSPENDED,
    Issuers,
    codes_of,
    lock_tokens,
    may_manage,
    refuse_other_issuers,
)

ROLE_TOO_HIGH = "role_too_high"
AUDITED_REFUSALS = {ROLE_TOO_HIGH, SUSPENDED, FORBIDDEN}
PART = 1_000
"""Tokens that are handed over in one transaction, where their number has no bound."""


def hand_over(
    *,
    account: Account,
    token_ids: Collection[int],
    to: Membership,
    issuers: Issuers | None = None,
    by: Actor,
    at: datetime,
) -> list[APIToken]:
    """Make `to` the issuer of these tokens of the account, all or none. Returns those that were
    handed over: tokens that have ended, or are the receiver's already, are left as they are.
    `issuers` are the present ones that the actor was shown.

    Raises `PermissionDenied` for everybody but Administrators of the account and operators, and
    `ValidationError` with the codes `receiver_gone`, `receiver_off`, `receiver_suspended`,
    `role_too_high`, `handed_over` (one has another issuer than was shown), and `suspended` for
    members who would revive their own tokens this way.
    """
    tokens = APIToken.objects.filter(account=account, pk__in=token_ids)
    return _audited(tokens, account.pk, to, issuers=issuers, by=by, at=at)


def hand_over_all_of(
    *, issuer: Membership, to: Membership, by: Actor, at: datetime
) -> list[APIToken]:
    """The same for all active tokens of an issuer."""
    tokens = APIToken.objects.filter(issuer=issuer)
    return _audited(tokens, issuer.account_id, to, by=by, at=at)


def hand_over_in_parts(
    *,
    issuer: Membership,
    to: Membership,
    by: Actor,
    at: datetime,
    report: Callable[[int, int], None],
) -> None:
    """The same, 1,000 in a transaction, so that any number is handed over: broken off, it goes on
    when it is called again. `report` hears of each part how many were handed over, and of how many.

    Where one has a role that the receiver lacks, none is handed over.
    """
    tokens = APIToken.objects.filter(issuer=issuer)
    wanted = tokens.active(at).exclude(issuer=to).order_by("pk").values_list("pk", flat=True)
    refused = wanted.exclude(role__in=to.held_role.covered())[:1]
    ids = array("q", list(refused) or wanted)
    for start in range(0, len(ids) or 1, PART):
        part = tokens.filter(pk__in=list(ids[start : start + PART]))
        report(len(_audited(part, issuer.account_id, to, by=by, at=at)), len(ids))


def _audited(
    tokens: APITokenQuerySet,
    account_id: int,
    to: Membership,
    *,
    issuers: Issuers | None = None,
    by: Actor,
    at: datetime,
) -> list[APIToken]:
    try:
        with transaction.atomic():
            return _hand_over(tokens, account_id, to, issuers=issuers, by=by, at=at)
    except (ValidationError, PermissionDenied) as refusal:
        for code in sorted(codes_of(refusal) & AUDITED_REFUSALS):
            audit.record("token.hand_over_refused", by=by, at=at, account_id=account_id, code=code)
        raise


def _hand_over(
    tokens: APITokenQuerySet,
    account_id: int,
    to: Membership,
    *,
    issuers: Issuers | None,
    by: Actor,
    at: datetime,
) -> list[APIToken]:
    lock_account(account_id)
    by = reauthorize(by, at)
    if not (by.is_operator or by.is_administrator_of(account_id)):
        raise PermissionDenied(_("Only Administrators can hand over API tokens."))
    receiver = _receiver(to, account_id)
    invalidate_tokens_of_on_commit(receiver, is_weaker=True)
    wanted = tokens.active(at).exclude(issuer=receiver)
    lock_tokens(wanted)
    handed = list(wanted.select_related("issuer__user").order_by("pk"))
    refuse_other_issuers(handed, issuers)
    _refuse_own_suspended(handed, by)
    _refuse_stronger(handed, receiver)
    if not all(may_manage(token, by) for token in handed):
        raise PermissionDenied(_("You don't have permission to hand over these API tokens."))
    by_issuer: dict[Membership, list[APIToken]] = defaultdict(list)
    for token in handed:
        by_issuer[token.issuer].append(token)
    _give(handed, receiver, by=by, at=at)
    for former, given in by_issuer.items():
        notify_handed_over(given, former=former, by=by, at=at)
    return handed


def _receiver(to: Membership, account_id: int) -> Membership:
    """The receiver as of now: one who could issue such tokens at this moment."""
    found = Membership.everyone.select_related("user", "account")
    receiver = found.filter(pk=to.pk, account=account_id, removed_at=None).first()
    if receiver is None:
        raise ValidationError(
            _("The receiver no longer belongs to the account. Choose another one."),
            code="receiver_gone",
        )
    if not receiver.user.is_active:
        raise ValidationError(
            _("The receiver is deactivated, so these tokens would stop working. Choose another."),
            code="receiver_off",
        )
    if receiver.has_suspended_tokens:
        raise ValidationError(
            _("The receiver's API tokens are suspended, and these would be, too. Choose another."),
            code="receiver_suspended",
        )
    return receiver


def _refuse_own_suspended(tokens: list[APIToken], by: Actor) -> None:
    """Who keeps the secrets would go on with them. Others may hand these tokens over."""
    if any(by.is_member(token.issuer) and token.issuer.has_suspended_tokens for token in tokens):
        raise own_tokens_suspended()


def _refuse_stronger(tokens: list[APIToken], receiver: Membership) -> None:
    above = [token for token in tokens if not receiver.held_role.covers(token.held_role)]
    if above:
        raise ValidationError(
            _(
                "“%(token)s” has the role %(role)s, which is higher than the receiver's, "
                "%(own)s. Choose another one."
            ),
            code=ROLE_TOO_HIGH,
            params={
                "token": above[0].name,
                "role": above[0].held_role.label,
                "own": receiver.held_role.label,
            },
        )


def _give(tokens: list[APIToken], receiver: Membership, *, by: Actor, at: datetime) -> None:
    """Let the receiver be their issuer. The number of statements does not grow with each token."""
    # The form that made one was the former issuer's; the receiver may have one with the same key.
    changed = {"issuer": receiver, "form_key": None}
    for start in range(0, len(tokens), PART):
        ids = [token.pk for token in tokens[start : start + PART]]
        APIToken.objects.filter(pk__in=ids).update(**changed)
    events = list[audit.Happened]()
    for token in tokens:
        details = {
            "name": token.name,
            "role": token.held_role.label,
            "former_issuer": token.issuer.user_id,
            "issuer": receiver.user_id,
        }
        events.append(audit.Happened(token.account_id, token, details))
        token.issuer, token.form_key = receiver, None
    audit.record_many("token.handed_over", events, by=by, at=at)
