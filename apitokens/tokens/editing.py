"""The service that edits a token: its name and description, an earlier expiration, a lower role,
other scopes, the addresses that it works from.

What would let a token do more than it could is refused: a later expiration comes with a new secret
(`apitokens.tokens.rotation`), a higher role with a new token. Scopes can be added by who could give
them to a new one: never beyond the role.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, TypedDict

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.authorization.actor import Actor
from accounts.authorization.recheck import lock_account, reauthorize
from accounts.roles import Role
from accounts.text.folding import normal_text
from apitokens.addresses.rules import WIDER, in_words
from apitokens.addresses.rules import read as read_addresses
from apitokens.cache.in_force import end_token_on_commit
from apitokens.expiry.schedule import first_notice_due
from apitokens.models import APIToken, OldSecret
from apitokens.scopes.rules import SCOPE_TOO_WIDE, cleaned, width_error
from apitokens.tokens.notifications import notify_token_edited
from apitokens.tokens.rules import (
    ENDED_BEFORE,
    FORBIDDEN,
    codes_of,
    expiration_error,
    lock_token,
    may_manage,
    record,
    refuse_deleted,
    wider_addresses_error,
)

AUDITED_REFUSALS = {"role_raised", SCOPE_TOO_WIDE, "expiration_later", WIDER, FORBIDDEN}


class Changes(TypedDict, total=False):
    """What is to change; what is left out stays as it is."""

    name: str
    description: str
    role: Role
    expires_at: datetime | None
    scopes: Collection[str] | None
    allowed_addresses: Sequence[str]


def edit(*, token: APIToken, changes: Changes, by: Actor, at: datetime) -> APIToken:
    """Edit the token. Returns it as it is now. Idempotent.

    Administrators edit any token of the account, others those they issued, operators all; a token
    that acts, none of a stronger role or more scopes; it gives no scope that it lacks, and lets
    none work where it does not itself. Raises `ValidationError` with codes (by field)
    `role_raised`, `past`, `expiration_later`, for scopes `scope_too_wide`, `required`, `too_many`
    and `unknown`, for addresses `invalid_address`, `too_many_addresses` and `wider_than_creator`;
    `deleted` (whole form); and `PermissionDenied`.
    """
    try:
        with transaction.atomic():
            return _edit(token, changes, by=by, at=at)
    except (ValidationError, PermissionDenied) as refusal:
        if codes_of(refusal) & ENDED_BEFORE:
            end_token_on_commit(token.pk)
        for code in sorted(codes_of(refusal) & AUDITED_REFUSALS):
            record("token.edit_refused", token, by=by, at=at, code=code, name=token.name)
        raise


def _edit(token: APIToken, changes: Changes, *, by: Actor, at: datetime) -> APIToken:
    lock_account(token.account_id)
    by = reauthorize(by, at)
    present = lock_token(token)
    if not may_manage(present, by):
        raise PermissionDenied(_("You do not have permission to edit this API token."))
    refuse_deleted(present)
    wanted = {field: _as_stored(field, value) for field, value in changes.items()}
    if "scopes" in changes:
        wanted["scopes"] = _scopes(changes["scopes"], present, by)
    # A longer list waits for all processes as a shorter one: who saves it wants to use it.
    if changes.keys() & {"role", "expires_at", "scopes", "allowed_addresses"}:
        end_token_on_commit(present.pk)
    changed = {field for field, value in wanted.items() if getattr(present, field) != value}
    if not changed:
        return present
    errors = refusals(present, wanted, at=at)
    if "allowed_addresses" in changed:
        wider = wider_addresses_error(wanted["allowed_addresses"], by)
        errors |= {"allowed_addresses": wider} if wider else {}
    if errors:
        raise ValidationError(errors)
    facts = dict(_facts(present, wanted, changed))
    for field in changed:
        setattr(present, field, wanted[field])
    # What stays as it is may be of a time with other rules.
    present.clean_fields(exclude={each.name for each in APIToken._meta.fields} - changed)
    if "expires_at" in changed:
        changed |= _end_earlier(present, at=at)
    present.save(update_fields=changed)
    notify_token_edited(present, by=by, at=at)
    record("token.edited", present, by=by, at=at, name=present.name, **facts)
    return present


def _scopes(wanted: Collection[str] | None, present: APIToken, by: Actor) -> str | None:
    """The scopes as they will be. Raises `ValidationError` by field."""
    try:
        scopes = cleaned(wanted, account_id=present.account_id, kept=present.scopes)
        if (wide := width_error(scopes, by=by)) is not None:
            raise wide
    except ValidationError as refusal:
        raise ValidationError({"scopes": refusal}) from refusal
    return scopes


def _as_stored(field: str, value: Any) -> Any:
    if field == "allowed_addresses":
        return _read_addresses(value)
    return normal_text(value.strip()) if isinstance(value, str) else value


def _read_addresses(entries: Sequence[str]) -> str:
    try:
        return read_addresses(entries).text
    except ValidationError as mistakes:
        raise ValidationError({"allowed_addresses": mistakes.error_list}) from None


def refusals(
    present: APIToken, wanted: dict[str, Any], *, at: datetime
) -> dict[str, ValidationError]:
    """What would give the token more than it has, by field; what stays as it is does not."""
    errors: dict[str, ValidationError] = {}
    changed = {field for field, value in wanted.items() if getattr(present, field) != value}
    if "role" in changed and not present.held_role.covers(wanted["role"]):
        errors["role"] = ValidationError(
            _("The role of a token can only be lowered. Create a new token for a higher role."),
            code="role_raised",
        )
    if "expires_at" in changed:
        late = _late(present.expires_at, wanted["expires_at"], at=at)
        errors |= {"expires_at": late} if late else {}
    return errors


def _late(
    present: datetime | None, wanted: datetime | None, *, at: datetime
) -> ValidationError | None:
    if present is not None and (wanted is None or wanted > present):
        return ValidationError(
            _("Choose an earlier date than the present one. To keep the token longer, rotate it."),
            code="expiration_later",
        )
    return expiration_error(wanted, ends_at=None, at=at)


def _facts(
    present: APIToken, wanted: dict[str, Any], changed: set[str]
) -> Iterator[tuple[str, Any]]:
    """The details of the event: what was before, and what is now."""
    if "name" in changed:
        yield "former_name", present.name
    if "role" in changed:
        yield "former_role", present.held_role.label
        yield "role", wanted["role"].label
    if "scopes" in changed:
        yield "former_scopes", present.scopes
        yield "scopes", wanted["scopes"]
    if "expires_at" in changed:
        yield "former_expires_at", present.expires_at.isoformat() if present.expires_at else None
        yield "expires_at", wanted["expires_at"].isoformat()
    if "allowed_addresses" in changed:
        yield "former_allowed_addresses", in_words(present.allowed_addresses)
        yield "allowed_addresses", in_words(wanted["allowed_addresses"])
    if "description" in changed:
        yield "is_description_changed", True


def _end_earlier(present: APIToken, *, at: datetime) -> set[str]:
    """What follows from an earlier end. Returns the other fields that change."""
    present.notice_due_at = first_notice_due(present.expires_at, created_at=at)
    late = OldSecret.objects.filter(token=present.pk, ends_at__gt=present.expires_at)
    late.update(ends_at=present.expires_at)
    return {"notice_due_at"}
