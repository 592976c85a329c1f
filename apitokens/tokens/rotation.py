"""The services that give a token a new secret under the same id, and end its old one.

The old secret goes on for a while that the person chooses, so that systems can change over one by
one. A token has two secrets at the most: rotating it again ends the older one.
"""

from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from accounts.authorization.actor import Actor
from accounts.authorization.recheck import lock_account, reauthorize
from accounts.authorization.shown import fingerprint
from accounts.http.concurrent_edits import CHANGED
from accounts.service_accounts.issuing import refuse_suspended
from apitokens import keys
from apitokens.addresses.rules import WIDER
from apitokens.cache.in_force import end_token_on_commit
from apitokens.expiry.schedule import first_notice_due
from apitokens.models import APIToken, OldSecret
from apitokens.peppers import current_pepper
from apitokens.tokens.notifications import notify_old_secret_ended, notify_token_rotated
from apitokens.tokens.rules import (
    ENDED_BEFORE,
    FORBIDDEN,
    SUSPENDED,
    codes_of,
    expiration_error,
    lock_token,
    may_manage,
    record,
    refuse_deleted,
    wider_addresses_error,
)

AUDITED_REFUSALS = {"outlives_creator", WIDER, SUSPENDED, FORBIDDEN}


class Grace(models.IntegerChoices):
    """The hours for which the old secret goes on."""

    NONE = 0, gettext_lazy("0 minutes")
    HOUR = 1, gettext_lazy("1 hour")
    DAY = 24, gettext_lazy("24 hours")
    WEEK = 168, gettext_lazy("7 days")


class Keep(Enum):
    EXPIRATION = "keep"


KEEP = Keep.EXPIRATION
"""Leave the expiration as it is."""


class Rotated(NamedTuple):
    """A token and its new key: the only time that the secret exists outside its owner's hands."""

    token: APIToken
    key: keys.Key


class AlreadyRotated(ValidationError):
    """The form that asks has rotated this token before."""

    def __init__(self) -> None:
        super().__init__(_("This form has already been submitted."), code="already_rotated")


@sensitive_variables("key")
def rotate(
    *,
    token: APIToken,
    by: Actor,
    at: datetime,
    grace: Grace = Grace.DAY,
    expires_at: datetime | Keep | None = KEEP,
    rotations: int | None = None,
    shown: str | None = None,
    form_key: UUID | None = None,
) -> Rotated:
    """Give the token a new secret; the old one goes on for the `grace`, and never beyond the
    expiration that it had or gets. The token keeps its id, and so its usage and events.

    `rotations`: how often the caller believes it to have been rotated (None: as often as `token`
    says); of two who rotate at the same moment one is refused. `shown`: the `snapshot` of the token
    that the caller has seen.

    Administrators rotate any token of the account, others those they issued, operators all. A token
    that acts rotates itself and what it may delete, never beyond its own end or addresses, and not
    by its old secret: a thief of that must not get the new one. Raises `ValidationError` with
    codes (by field) `past`, `too_far`, `outlives_creator` and `changed_meanwhile` (the expiration
    was), and (whole form) `deleted`, `expired`, `suspended`, `wider_than_creator` and
    `rotated_meanwhile`; `AlreadyRotated` if
    `form_key` was used before; and `PermissionDenied`.
    """
    seen = token.rotations if rotations is None else rotations
    try:
        with transaction.atomic():
            present = _authorized(token, by=by, at=at)
            _refuse_repeat(present, seen=seen, form_key=form_key)
            _refuse_ended(present, at=at)
            _refuse_other_end(present, shown)
            _refuse_wider(present, by)
            ends_at = _new_end(present, expires_at, by=by, at=at)
            key = _renew(present, grace=grace, ends_at=ends_at, form_key=form_key, at=at)
            _conclude(present, by=by, at=at)
    except (ValidationError, PermissionDenied) as refused:
        if codes_of(refused) & ENDED_BEFORE:
            end_token_on_commit(token.pk)
        for code in sorted(codes_of(refused) & AUDITED_REFUSALS):
            record("token.rotate_refused", token, by=by, at=at, code=code, name=token.name)
        raise
    return Rotated(present, key)


def snapshot(token: APIToken) -> str:
    """A fingerprint of what a page shows of the token that rotating may keep or change."""
    return fingerprint(token.expires_at)


def old_secret_end(
    token: APIToken, *, grace: Grace, at: datetime, expires_at: datetime | Keep | None = KEEP
) -> datetime:
    """When the present secret would end if the token were rotated now, with this expiration."""
    ends = [at + timedelta(hours=grace), token.expires_at]
    if not isinstance(expires_at, Keep):
        ends.append(expires_at)
    return min(end for end in ends if end is not None)


def refusal(token: APIToken, *, at: datetime) -> ValidationError | None:
    """The reason that nobody can rotate the token; None if there is none."""
    try:
        _refuse_ended(token, at=at)
    except ValidationError as found:
        return found
    return None


def end_old_secret(
    *, token: APIToken, by: Actor, at: datetime, rotations: int | None = None
) -> bool:
    """End the old secret of the token now: the one it had after so many `rotations`, as far as they
    are given. False if it has none that works. Raises `PermissionDenied` as `rotate` does, and
    `ValidationError` with the code `rotated_meanwhile`."""
    with transaction.atomic():
        lock_account(token.account_id)
        by = reauthorize(by, at)
        present = lock_token(token)
        _refuse_strangers(present, by)
        end_token_on_commit(present.pk)
        if not present.has_working_old_secret(at):
            return False
        if rotations not in (None, present.rotations):
            raise ValidationError(
                _(
                    "This API token was rotated again after you opened the page, so its old secret "
                    "is now another one. Nothing was changed."
                ),
                code="rotated_meanwhile",
            )
        OldSecret.objects.filter(token=present.pk).update(ends_at=at)
        notify_old_secret_ended(present, by=by, at=at)
        record("token.old_secret_ended", present, by=by, at=at, name=present.name)
        return True


def _authorized(token: APIToken, *, by: Actor, at: datetime) -> APIToken:
    """The token, locked, for who may rotate it."""
    lock_account(token.account_id)
    present = lock_token(token)
    by = reauthorize(by, at)
    _refuse_strangers(present, by)
    refuse_suspended(by, present.issuer)
    if by.token_id == present.pk and by.secret_number != present.rotations:
        raise PermissionDenied(
            _(
                "You act with the old secret of this API token. Rotate it with the new one, or ask "
                "an Administrator to rotate it."
            )
        )
    return present


def _refuse_strangers(token: APIToken, by: Actor) -> None:
    if not may_manage(token, by):
        raise PermissionDenied(_("You do not have permission to rotate this API token."))


def _refuse_repeat(present: APIToken, *, seen: int, form_key: UUID | None) -> None:
    if form_key is not None and form_key == present.rotation_form_key:
        raise AlreadyRotated
    if seen != present.rotations:
        raise ValidationError(
            _(
                "This API token has been rotated in the meantime. Nothing was changed now; "
                "rotate it again if its new secret is not known to you."
            ),
            code="rotated_meanwhile",
        )


def _refuse_ended(present: APIToken, *, at: datetime) -> None:
    refuse_deleted(present)
    if present.is_expired(at):
        raise ValidationError(_("This API token has expired. Create a new one."), code="expired")
    if present.is_suspended(at):
        raise ValidationError(
            _(
                "This API token is suspended, and its new secret would be, too. It works again "
                "after a sign-in through single sign-on; rotate it then."
            ),
            code=SUSPENDED,
        )


def _refuse_other_end(present: APIToken, shown: str | None) -> None:
    if shown not in (None, snapshot(present)):
        error = ValidationError(
            _(
                "The expiration was changed after you opened the page. Nothing was changed now; "
                "check it, and rotate again."
            ),
            code=CHANGED,
        )
        raise ValidationError({"expires_at": error})


def _refuse_wider(present: APIToken, by: Actor) -> None:
    """A token that is limited to addresses gets no secret that works from others."""
    if by.token_id != present.pk and wider_addresses_error(present.allowed_addresses, by):
        raise ValidationError(
            _(
                "The API token you are using is limited to addresses, so it can't rotate one that "
                "works from others."
            ),
            code=WIDER,
        )


def _new_end(
    present: APIToken, wanted: datetime | Keep | None, *, by: Actor, at: datetime
) -> datetime | None:
    """The expiration of the token from now on."""
    ends_at = present.expires_at if isinstance(wanted, Keep) else wanted
    error = expiration_error(ends_at, ends_at=None, at=at)
    if by.token_ends_at is not None and (ends_at is None or ends_at > by.token_ends_at):
        error = ValidationError(
            _(
                "An API token can't rotate a token that outlives it. Choose a date no later than "
                "%(end)s."
            ),
            code="outlives_creator",
            params={"end": by.token_ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")},
        )
    if error is not None:
        raise ValidationError({"expires_at": error})
    return ends_at


@sensitive_variables("key")
def _renew(
    present: APIToken,
    *,
    grace: Grace,
    ends_at: datetime | None,
    form_key: UUID | None,
    at: datetime,
) -> keys.Key:
    assert present.pepper is not None  # only deleted tokens have none
    # All uses so far, as far as they are stored, were by what is the old secret from now on.
    old = OldSecret(
        token=present,
        digest=present.digest,
        pepper=present.pepper,
        ends_at=old_secret_end(present, grace=grace, at=at, expires_at=ends_at),
        last_used_at=present.last_used_at,
        last_used_address=present.last_used_address,
    )
    old.save()
    key = keys.make(present.pk)
    present.pepper = current_pepper()
    present.digest = keys.digest(key, settings.TOKEN_PEPPERS[present.pepper])
    present.rotations += 1
    present.rotated_at, present.rotation_form_key = at, form_key
    if ends_at != present.expires_at:
        present.expires_at = ends_at
        present.notice_due_at = first_notice_due(ends_at, created_at=at)
    present.save(update_fields=RENEWED)
    return key


RENEWED = (
    *("digest", "pepper", "rotations", "rotated_at", "rotation_form_key"),
    *("expires_at", "notice_due_at"),
)


def _conclude(present: APIToken, *, by: Actor, at: datetime) -> None:
    end_token_on_commit(present.pk)
    notify_token_rotated(present, by=by, at=at)
    old = present.former_secret
    record(
        "token.rotated",
        present,
        by=by,
        at=at,
        name=present.name,
        old_ends_at=old.ends_at.isoformat() if old else None,
        expires_at=present.expires_at.isoformat() if present.expires_at else None,
    )
