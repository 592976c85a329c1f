"""Rules that several services of API tokens keep: who may act on a token, and how long it lives."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.scopes import TOKENS_WRITE
from accounts.roles import Role
from accounts.service_accounts.issuing import may_issue_for
from accounts.validators import parse_id
from apitokens.addresses.rules import wider_error
from apitokens.models import APIToken

LONGEST_LIFE = timedelta(days=36_525)
"""A hundred years: what is later is a slip of the keyboard or means "never"."""

MOST_AT_ONCE = 500
"""Tokens of one step, on a page or by the API."""

LOCKED_AT_ONCE = 10_000

Issuers = Mapping[int, int | None]
"""Who has issued which tokens: the ids of users by those of tokens. None: it was not said."""

FORBIDDEN = "forbidden"
SUSPENDED = "suspended"


def may_manage(token: APIToken, by: Actor) -> bool:
    """True if the actor may edit, rotate and delete the token: Administrators of its account, its
    issuer, members whom the service account that is its issuer names, and operators; a token that
    acts, if its role is not the weaker one, and its scopes are not fewer."""
    if by.is_operator:
        return True
    if by.token_id is not None and not _is_as_strong(by, token):
        return False  # a leaked weak token must not be able to end the strong ones
    return (
        by.is_administrator_of(token.account_id)
        or (by.membership is not None and by.membership.pk == token.issuer_id)
        or may_issue_for(by, token.issuer)
    )


def _is_as_strong(by: Actor, token: APIToken) -> bool:
    is_role_enough = by.role is not None and by.role.covers(token.held_role)
    return is_role_enough and by.has_scope(TOKENS_WRITE) and by.covers_scopes(token.scopes)


def lock_token(token: APIToken) -> APIToken:
    """The token as it is now, locked until the transaction ends. (On SQLite the transaction is the
    lock.)"""
    found = APIToken.objects.select_related("issuer__user", "old_secret")
    return found.select_for_update(of=("self",), no_key=True).get(pk=token.pk)


def lock_tokens(tokens: Iterable[APIToken]) -> None:
    """Lock many tokens in the order of their ids, as the storing of usage does: who locked them in
    another order would wait for those who wait for them. (On SQLite the transaction is the lock.)
    """
    if not connection.features.has_select_for_update:
        return
    ids = iter(sorted(token.pk for token in tokens))
    while some := list(islice(ids, LOCKED_AT_ONCE)):
        rows = APIToken.objects.filter(pk__in=some).order_by("pk")
        list(rows.select_for_update(no_key=True).values_list("pk"))


def with_issuers(tokens: Iterable[APIToken]) -> str:
    """These tokens, each with its issuer, as a page that shows them sends them along."""
    return ",".join(f"{token.pk}:{token.issuer.user_id}" for token in tokens)


def read_issuers(sent: str) -> dict[int, int | None]:
    """The tokens that a page sends along, with their issuers, as far as it names these."""
    parts = [part.partition(":") for part in sent.split(",")]
    found = {parse_id(token.strip()): parse_id(issuer) for token, _colon, issuer in parts}
    return {token: issuer for token, issuer in found.items() if token is not None}


def refuse_other_issuers(tokens: Iterable[APIToken], shown: Issuers | None) -> None:
    """Refuse if one of the tokens has another issuer than was shown; it was handed over since."""
    for token in tokens:
        if shown and shown.get(token.pk) not in (None, token.issuer.user_id):
            raise ValidationError(
                _(
                    "“%(token)s” was handed over to %(name)s after you opened the page, so nothing "
                    "has been done. Check the list, and confirm again."
                ),
                code="handed_over",
                params={"token": token.name, "name": token.issuer.user.get_full_name()},
            )


ENDED_BEFORE = {"deleted", "already_rotated", "rotated_meanwhile"}
"""Refusals that tell of a token or secret that has ended: they wait until all processes know, as
the end itself does."""


def refuse_deleted(token: APIToken) -> None:
    if token.is_deleted:
        raise ValidationError(_("This API token was deleted."), code="deleted")


def role_error(role: Role, *, ceiling: Role) -> ValidationError | None:
    """The refusal of a role that is stronger than the strongest to be given away."""
    if ceiling.covers(role):
        return None
    return ValidationError(
        _("Can't create token with role %(role)s"),
        code="role_too_high",
        params={"role": role.label},
    )


def expiration_error(
    expires_at: datetime | None, *, ends_at: datetime | None, at: datetime
) -> ValidationError | None:
    """The refusal of an expiration that has passed, is too far, or is after that of the token that
    acts (`ends_at`)."""
    if expires_at is not None and expires_at <= at:
        return ValidationError(_("This date is in the past. Choose a later one."), code="past")
    if expires_at is not None and expires_at > at + LONGEST_LIFE:
        return ValidationError(
            _(
                "This date is too far in the future. Choose one within 100 years, or choose “Never "
                "expire”."
            ),
            code="too_far",
        )
    if ends_at is not None and (expires_at is None or expires_at > ends_at):
        return ValidationError(
            _(
                "An API token can't create a token that outlives it. Choose a date no later than "
                "%(end)s."
            ),
            code="outlives_creator",
            params={"end": ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")},
        )
    return None


def wider_addresses_error(wanted: str, by: Actor) -> ValidationError | None:
    """The refusal of a list of addresses beyond that of the token that acts, which is read under
    the account's lock."""
    if by.token_id is None:
        return None
    own = APIToken.objects.filter(pk=by.token_id).values_list("allowed_addresses", flat=True)
    return wider_error(wanted, own=own.first() or "")


def record(kind: str, token: APIToken, *, by: Actor, at: datetime, **details: Any) -> None:
    """An event about this token; one that was refused has no row to point to."""
    subject = None if token._state.adding else token
    audit.record(kind, by=by, at=at, account_id=token.account_id, subject=subject, **details)


def codes_of(refusal: ValidationError | PermissionDenied) -> set[str]:
    """The codes of a refusal, of whatever field."""
    if isinstance(refusal, PermissionDenied):
        return {FORBIDDEN}
    if hasattr(refusal, "error_dict"):
        return {str(error.code) for errors in refusal.error_dict.values() for error in errors}
    return {str(error.code) for error in refusal.error_list}
