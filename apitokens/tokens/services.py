"""The services of API tokens: the only writers of their table.

Each takes facts (`at`, the present moment) and, where a person decides, an actor (`by`). It owns
its transaction and writes the audit event in it. Refusals are Django's `ValidationError` (by field,
with stable codes) and `PermissionDenied`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import (
    invalidate_tokens_of_on_commit,
    lock_account,
    present,
    reauthorize,
)
from accounts.authorization.scopes import TOKENS_WRITE
from accounts.authorization.shown import fingerprint, refuse_changed
from accounts.models import Account, Membership
from accounts.random_ids import draw_id
from accounts.roles import Role
from accounts.service_accounts.issuing import may_issue_for, refuse_suspended
from apitokens import keys
from apitokens.addresses.rules import WIDER, in_words
from apitokens.addresses.rules import read as read_addresses
from apitokens.cache.in_force import end_token_on_commit
from apitokens.expiry.schedule import first_notice_due
from apitokens.models import APIToken, APITokenQuerySet, OldSecret, VerifierKey
from apitokens.peppers import current_pepper
from apitokens.scopes.rules import SCOPE_TOO_WIDE, cleaned, width_error
from apitokens.tokens.notifications import notify_token_changed, notify_tokens_deleted
from apitokens.tokens.rules import (
    FORBIDDEN,
    SUSPENDED,
    Issuers,
    codes_of,
    expiration_error,
    lock_token,
    lock_tokens,
    may_manage,
    record,
    refuse_other_issuers,
    role_error,
    wider_addresses_error,
)

DELETED_AT_ONCE = 500
"""Tokens that one statement ends: on SQLite everybody else waits to write meanwhile."""

FORGOTTEN_AT_ONCE = 5_000
"""Digests that one transaction drops."""

AUDITED_REFUSALS = {
    *("role_too_high", SCOPE_TOO_WIDE, "limit_reached", "outlives_creator"),
    *(WIDER, SUSPENDED, FORBIDDEN),
}


class Issued(NamedTuple):
    """A new token and its key: the only time that the secret exists outside its owner's hands."""

    token: APIToken
    key: keys.Key


class Usage(NamedTuple):
    """The number of active tokens of an account, and its limit."""

    in_use: int
    limit: int

    @property
    def is_full(self) -> bool:
        return self.in_use >= self.limit


class MayNotDelete(PermissionDenied):
    """The actor may not delete these of the tokens, and so none was deleted."""

    def __init__(self, tokens: list[APIToken]) -> None:
        super().__init__(_("You don't have permission to delete these API tokens."))
        self.tokens = tokens


class AlreadyIssued(ValidationError):
    """The form that asks has made this token before."""

    def __init__(self, token: APIToken) -> None:
        super().__init__(_("This form has already been submitted."), code="already_issued")
        self.token = token


@sensitive_variables("key")
def issue(
    *,
    by: Actor,
    issuer: Membership,
    name: str,
    role: Role,
    expires_at: datetime | None,
    at: datetime,
    description: str = "",
    scopes: Collection[str] | None = None,
    form_key: UUID | None = None,
    allowed_addresses: Sequence[str] = (),
) -> Issued:
    """Issue a token in the issuer's account, with a role equal to or lower than theirs, limited to
    the `scopes` (None: to nothing but its role), which works from the `allowed_addresses` only if
    there are any.

    A token that acts as `by` gives away no more than its own role and scopes, nothing that outlives
    it, and nothing that works where it does not. Raises `ValidationError` with codes (by field)
    `role_too_high`, for scopes `scope_too_wide`, `required`, `too_many` and `unknown`, `past`,
    `too_far`, `outlives_creator`, for addresses `invalid_address`, `too_many_addresses` and
    `wider_than_creator`, `limit_reached` and `suspended` (whole form); `AlreadyIssued` if
    `form_key` was used before; `PermissionDenied` for anybody but the issuer, operators, and for a
    service account those who may issue for it; and for issuers that have left or are switched off.
    """
    token = APIToken(
        account_id=issuer.account_id,
        issuer=issuer,
        name=name.strip(),
        description=description.strip(),
        role=role,
        created_at=at,
        expires_at=expires_at,
        form_key=form_key,
    )
    try:
        with transaction.atomic():
            key = _insert(token, scopes, allowed_addresses, by=by, at=at)
    except (ValidationError, PermissionDenied) as refusal:
        for code in sorted(codes_of(refusal) & AUDITED_REFUSALS):
            record("token.issue_refused", token, by=by, at=at, code=code, role=token.role)
        raise
    return Issued(token, key)


def delete(*, token: APIToken, issuers: Issuers | None = None, by: Actor, at: datetime) -> bool:
    """Delete a token: it stops at once, in all processes of all hosts before the answer, and stays
    as a tombstone. False if it was deleted already. `issuers` has the one that the actor was shown.

    Administrators delete any token of the account, others those they issued, operators all; a token
    deletes no token of a stronger role. Raises `PermissionDenied`, and `ValidationError` with the
    code `handed_over` if the token has another issuer than was shown.
    """
    try:
        with transaction.atomic():
            if issuers:
                refuse_other_issuers([lock_token(token)], issuers)
            return _delete(token, by=by, at=at)
    except PermissionDenied:
        record("token.delete_refused", token, by=by, at=at, code=FORBIDDEN, role=token.role)
        raise


@transaction.atomic
def delete_all(
    *, tokens: Iterable[APIToken], issuers: Issuers | None = None, by: Actor, at: datetime
) -> int:
    """Delete these tokens, all or none. Returns how many were not deleted before. Of each there is
    a notice. `issuers` are those that the actor was shown. Raises `PermissionDenied` if the actor
    may not delete one of them, and `ValidationError` as `delete_selected`."""
    wanted = list(tokens)
    if issuers:
        lock_tokens(wanted)
        ids = [token.pk for token in wanted]
        wanted = list(APIToken.objects.filter(pk__in=ids).select_related("issuer__user"))
        refuse_other_issuers(wanted, issuers)
    deleted = _delete_many(wanted, by=reauthorize(by, at), at=at)
    for token in deleted:
        notify_token_changed(token, was_created=False, by=by, at=at)
    return len(deleted)


def delete_selected(
    *,
    account: Account,
    token_ids: Collection[int],
    issuers: Issuers | None = None,
    by: Actor,
    at: datetime,
) -> list[APIToken]:
    """Delete those of these tokens of the account that were not deleted before, all or none.
    Returns them. `issuers` are those that the actor was shown.

    Each issuer gets one notice. Raises `MayNotDelete` if the actor may not delete one of them, and
    `ValidationError` with the code `handed_over` if one has another issuer than was shown.
    """
    try:
        with transaction.atomic():
            lock_account(account.pk)
            by = reauthorize(by, at)
            found = APIToken.objects.filter(account=account, pk__in=token_ids)
            known = list(found.select_related("issuer__user"))
            for token in known:
                end_token_on_commit(token.pk)
            wanted = [token for token in known if not token.is_deleted]
            refuse_other_issuers(wanted, issuers)
            return _delete_together(wanted, are_all=False, by=by, at=at)
    except MayNotDelete as refusal:
        facts = {"code": FORBIDDEN}
        audit.record_many(
            "token.delete_refused",
            (
                audit.Happened(token.account_id, token, facts | {"role": token.role})
                for token in refusal.tokens
            ),
            by=by,
            at=at,
        )
        raise


@transaction.atomic
def delete_all_of(
    *,
    issuer: Membership,
    only: Collection[int] | None = None,
    created_until: datetime | None = None,
    shown: str | None = None,
    by: Actor,
    at: datetime,
) -> int:
    """Delete all active tokens that the member issued, all or none. Returns how many they were.
    With `only`, those of them with these ids, and with `created_until` those that were there then:
    the ones that the actor was shown. `shown` is their fingerprint, which tells of those that were
    handed over to the member since.

    A token that is issued at the same moment either goes with the others or comes after this is
    done. The issuer gets one notice. Raises `PermissionDenied` for everybody but
    Administrators of the account, the issuer and operators, and for a token that acts, if one of
    them has a stronger role; `ValidationError` if `shown` is of other tokens.
    """
    lock_account(issuer.account_id)
    by = reauthorize(by, at)
    if not (by.is_operator or by.is_administrator_of(issuer.account_id) or by.is_member(issuer)):
        raise PermissionDenied(_("You don't have permission to delete these API tokens."))
    invalidate_tokens_of_on_commit(issuer, is_weaker=True)
    active = APIToken.objects.active(at).filter(issuer=issuer).select_related("issuer__user")
    if only is not None:
        active = active.filter(pk__in=only)
    if created_until is not None:
        active = active.filter(created_at__lte=created_until)
    if shown is not None:
        refuse_changed(shown, fingerprint_of(active))
    deleted = _delete_together(active, are_all=True, by=by, at=at)
    if deleted:
        audit.record(
            "token.all_deleted",
            by=by,
            at=at,
            account_id=issuer.account_id,
            subject=issuer,
            user=issuer.user_id,
            count=len(deleted),
        )
    return len(deleted)


def forget_digests(*, by: Actor, at: datetime) -> int:
    """Drop the digests of tokens and verifier keys deleted long enough ago, and of old secrets that
    ended then; their holders are told `unknown` from now on. Returns how many. Idempotent.

    Each part is a transaction with an event of its own: half a million tokens may be due at once,
    and nobody else could write to SQLite for a minute.
    """
    until = at - settings.TOKEN_DIGEST_RETENTION
    tokens = APIToken.objects.filter(deleted_at__lte=until)
    verifiers = VerifierKey.objects.filter(deleted_at__lte=until)
    forgotten = 0
    for deleted in (tokens, verifiers):
        after: int | None = 0
        while after is not None:
            found, after = _forget_some(deleted.filter(pk__gt=after), by=by, at=at)
            forgotten += found
    ended = OldSecret.objects.filter(Q(ends_at__lte=until) | Q(token__deleted_at__lte=until))
    while found := _forget_old_secrets(ended, by=by, at=at):
        forgotten += found
    return forgotten


@transaction.atomic
def _forget_some(deleted: QuerySet[Any], *, by: Actor, at: datetime) -> tuple[int, int | None]:
    """Drop the digests of the first of them. Returns how many, and the id that the next come after;
    None if there are none."""
    due = list(deleted.filter(digest__isnull=False).only("pk").order_by("pk")[:FORGOTTEN_AT_ONCE])
    lock_tokens(each for each in due if isinstance(each, APIToken))
    chosen = deleted.filter(pk__in=[each.pk for each in due], digest__isnull=False)
    found = chosen.update(digest=None, pepper=None)
    _record_forgotten(found, by=by, at=at)
    return found, due[-1].pk if len(due) == FORGOTTEN_AT_ONCE else None


@transaction.atomic
def _forget_old_secrets(ended: QuerySet[OldSecret], *, by: Actor, at: datetime) -> int:
    """Delete some of them, and return how many."""
    some = list(ended.order_by("pk").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    found = OldSecret.objects.filter(pk__in=some).delete()[0]
    _record_forgotten(found, by=by, at=at)
    return found


def _record_forgotten(number: int, *, by: Actor, at: datetime) -> None:
    if number:
        audit.record("token.digests_purged", by=by, at=at, count=number)


def usage(account: Account, *, at: datetime) -> Usage:
    """Count the account's active tokens beside its limit."""
    return Usage(number(account.pk, at=at), account.most_tokens)


def fingerprint_of(tokens: APITokenQuerySet) -> str:
    """A fingerprint of which tokens these are."""
    return fingerprint(sorted(tokens.order_by().values_list("pk", flat=True)))


def number(account_id: int, *, at: datetime) -> int:
    """Count the active tokens of an account: those that are not deleted, without those of them that
    have expired. Either is an index alone; neither reads a token."""
    tokens = APIToken.objects.filter(account=account_id)
    return tokens.undeleted().count() - tokens.expired(at).count()


@sensitive_variables("key")
def _insert(
    token: APIToken,
    scopes: Collection[str] | None,
    allowed_addresses: Sequence[str],
    *,
    by: Actor,
    at: datetime,
) -> keys.Key:
    account = lock_account(token.account_id)  # its holder counts alone
    is_own = by.is_member(token.issuer)
    by = reauthorize(by, at)
    if not (by.is_operator or is_own or may_issue_for(by, token.issuer)):
        raise PermissionDenied(
            _("You can't create API tokens for this service account.")
            if token.issuer.is_service_account
            else _("You can create API tokens for yourself only.")
        )
    if not by.has_scope(TOKENS_WRITE):
        raise PermissionDenied(_("The API token you are using can't create API tokens."))
    issuer = by.membership if is_own and by.membership else _present_issuer(token.issuer)
    _refuse_second_use(token)
    refuse_suspended(by, issuer)
    _refuse_suspended(issuer)
    wrong = _allow_from(token, allowed_addresses, by)
    _refuse_bad_facts(token, scopes, wrong, ceiling=_ceiling(by, issuer), by=by, at=at)
    if usage(account, at=at).is_full:
        raise ValidationError(
            _(
                "This account has reached its limit of %(limit)d API tokens. Delete one you no "
                "longer need, then try again."
            ),
            code="limit_reached",
            params={"limit": account.most_tokens},
        )
    while APIToken.objects.filter(pk=token.pk).exists():
        token.pk = draw_id()
    key = keys.make(token.pk)
    token.pepper = current_pepper()
    token.digest = keys.digest(key, settings.TOKEN_PEPPERS[token.pepper])
    token.notice_due_at = first_notice_due(token.expires_at, created_at=at)
    token.save(force_insert=True)
    notify_token_changed(token, was_created=True, by=by, at=at)
    limits: dict[str, Any] = {} if token.scopes is None else {"scopes": token.scopes}
    if allowed := in_words(token.allowed_addresses):
        limits["allowed_addresses"] = allowed
    audit.record(
        "token.issued",
        by=by,
        at=at,
        account=account,
        subject=token,
        name=token.name,
        role=token.held_role.label,
        issuer=token.issuer.user_id,
        expires_at=token.expires_at.isoformat() if token.expires_at else None,
        **limits,
    )
    return key


def _allow_from(
    token: APIToken, entries: Sequence[str], by: Actor
) -> dict[str, list[ValidationError]]:
    """Set the list of allowed addresses. Returns what is wrong with it, by field."""
    try:
        token.allowed_addresses = read_addresses(entries).text
    except ValidationError as mistakes:
        return {"allowed_addresses": mistakes.error_list}
    wider = wider_addresses_error(token.allowed_addresses, by)
    return {"allowed_addresses": [wider]} if wider else {}


def _delete_together(
    found: Iterable[APIToken], *, are_all: bool, by: Actor, at: datetime
) -> list[APIToken]:
    """Delete these tokens, and tell of those of each issuer once. The actor was reauthorized.
    Returns those that were there."""
    deleted = _delete_many(list(found), by=by, at=at)
    by_issuer: dict[int, list[APIToken]] = defaultdict(list)
    for token in deleted:
        by_issuer[token.issuer_id].append(token)
    for tokens_of_one in by_issuer.values():
        notify_tokens_deleted(tokens_of_one, are_all=are_all, by=by, at=at)
    return deleted


def _delete_many(tokens: list[APIToken], *, by: Actor, at: datetime) -> list[APIToken]:
    """Delete these tokens for an actor who was reauthorized, and tell nobody. Returns those that
    were there. The number of statements does not grow with each token."""
    if refused := [token for token in tokens if not may_manage(token, by)]:
        raise MayNotDelete(refused)
    lock_tokens(tokens)
    for token in tokens:
        end_token_on_commit(token.pk)
    deleted = list[APIToken]()
    for start in range(0, len(tokens), DELETED_AT_ONCE):
        some = tokens[start : start + DELETED_AT_ONCE]
        ids = [token.pk for token in some]
        # Nobody else changes them any more: they are locked (on SQLite the whole database is).
        there = set(APIToken.objects.undeleted().filter(pk__in=ids).values_list("pk", flat=True))
        APIToken.objects.filter(pk__in=there).update(deleted_at=at, deleted_by=by.user)
        deleted += [token for token in some if token.pk in there]
    for token in deleted:
        token.deleted_at, token.deleted_by = at, by.user
    audit.record_many(
        "token.deleted",
        (audit.Happened(token.account_id, token, {"name": token.name}) for token in deleted),
        by=by,
        at=at,
    )
    return deleted


def _delete(token: APIToken, *, by: Actor, at: datetime) -> bool:
    if not may_manage(token, reauthorize(by, at)):
        raise PermissionDenied(_("You do not have permission to delete this API token."))
    end_token_on_commit(token.pk)
    deleted = APIToken.objects.undeleted().filter(pk=token.pk)
    if not deleted.update(deleted_at=at, deleted_by=by.user):
        return False
    token.deleted_at, token.deleted_by = at, by.user
    notify_token_changed(token, was_created=False, by=by, at=at)
    record("token.deleted", token, by=by, at=at, name=token.name)
    return True


def _present_issuer(issuer: Membership) -> Membership:
    """The issuer as of now, for whom another one acts."""
    try:
        return present(issuer)
    except PermissionDenied:
        if not issuer.is_service_account:
            raise
        raise PermissionDenied(
            _("This service account is turned off or was removed, so it gets no API tokens.")
        ) from None


def _ceiling(by: Actor, issuer: Membership) -> Role:
    """The strongest role that may be given away: that of the issuer, and of the token with which
    the actor acts. A member whom a service account names gives away the service account's."""
    own = issuer.held_role
    return own if by.role is None or by.token_id is None else Role.weaker(own, by.role)


def _refuse_second_use(token: APIToken) -> None:
    if token.form_key is None:
        return
    made = APIToken.objects.filter(issuer_id=token.issuer_id, form_key=token.form_key).first()
    if made is not None:
        raise AlreadyIssued(made)


def _refuse_suspended(issuer: Membership) -> None:
    if issuer.has_suspended_tokens:
        raise ValidationError(
            _(
                "This user's API tokens are suspended, and a new one would be, too. They will "
                "work again after the user signs in through single sign-on; create the token "
                "then."
            ),
            code=SUSPENDED,
        )


def _refuse_bad_facts(
    token: APIToken,
    scopes: Collection[str] | None,
    wrong: dict[str, list[ValidationError]],
    *,
    ceiling: Role,
    by: Actor,
    at: datetime,
) -> None:
    """Raises `ValidationError` for all that is wrong together, with what is known to be."""
    errors = wrong
    try:
        token.clean_fields(exclude=["digest", "pepper"])
    except ValidationError as refusal:
        errors |= refusal.error_dict
    if token.role in Role.values and (error := role_error(token.held_role, ceiling=ceiling)):
        errors["role"] = [error]
    late = expiration_error(token.expires_at, ends_at=by.token_ends_at, at=at)
    if late is not None:
        errors["expires_at"] = [late]
    try:
        token.scopes = cleaned(scopes, account_id=token.account_id)
        if (wide := width_error(token.scopes, by=by)) is not None:
            raise wide
    except ValidationError as refusal:
        errors["scopes"] = [refusal]
    if errors:
        raise ValidationError(errors)
