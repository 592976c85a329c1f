"""Services of invitations: an address is asked to join an account with a role.

The answers are the same whether the portal knows the address or not. So the user of a new address
is created at once, without a password, and of a known user the inviter sees only what they wrote
themselves.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from accounts.authorization.shown import fingerprint, refuse_changed
from accounts.email_addresses import normal_email
from accounts.members.services import join, may_manage
from accounts.models import (
    Account,
    Invitation,
    Language,
    Membership,
    User,
    draw_nonce,
    unused_id,
    validate_time_zone,
)
from accounts.roles import Role
from accounts.sign_in.registration import VOUCHED_FOR, discard_sign_up
from accounts.throttling import rate_limits
from accounts.throttling.rate_limits import Limit, TooManyTries
from accounts.users.services import set_password
from accounts.validators import validate_name
from notifications.kinds import INVITATION
from notifications.services import post
from notifications.tasks import enqueue_delivery_on_commit

LINK_LIFETIME = timedelta(hours=24)
MOST_SENDINGS = 5
"""So that an inviter cannot fill the mailbox of a person who does not answer."""
SALT = "accounts.invitations"
REFUSAL_EVENTS = Limit("invitation-refused", 5, timedelta(days=1))
"""Limits the events that one invitation may cause in a day for one reason."""
OTHER_PERSON = "other_person"

REFUSALS: dict[str, Promise] = {
    "unknown": gettext_lazy(
        "This link is damaged or incomplete. Open it from the email again, or request a new "
        "invitation."
    ),
    "replaced": gettext_lazy(
        "The invitation has been resent, and this link is no longer valid. Use the link in the "
        "latest email."
    ),
    "used": gettext_lazy("This invitation has already been accepted. Sign in to use the account."),
    "withdrawn": gettext_lazy(
        "This invitation has been withdrawn. Ask an Administrator of the account for a new one."
    ),
    "late": gettext_lazy(
        "This link has expired: it was valid for 24 hours. Ask an Administrator of the account "
        "to resend the invitation."
    ),
    "inviter_left": gettext_lazy(
        "The person who invited you is no longer an Administrator of the account. Ask a current "
        "Administrator to resend the invitation."
    ),
    "closed": gettext_lazy("The account you were invited to is closed."),
}


class InvitationRefused(ValidationError):
    """The invitation is no longer valid; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(str(REFUSALS[code]), code=code)


def invite(
    *,
    account: Account,
    email: str,
    role: Role,
    name: str = "",
    language: str = Language.ENGLISH,
    by: Actor,
    at: datetime,
) -> Invitation:
    """Ask an address to join the account with this role; the mail follows.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, and
    `ValidationError` by field, with codes `already_member`, `already_invited` (params: `user`,
    `account`) and `too_many_invitations`. A late invitation is replaced by the new one.
    """
    try:
        with transaction.atomic():
            return _invite(account, email, role, name, language, by=by, at=at)
    except ValidationError as refusal:
        if any(error.code == "too_many_invitations" for error in _errors(refusal)):
            audit.record(
                "invitation.refused", by=by, at=at, account=account, code="too_many_invitations"
            )
        raise


def snapshot(invitation: Invitation) -> str:
    """A fingerprint of what is shown of an invitation: its newest mail, and its end."""
    ends = (invitation.accepted_at, invitation.withdrawn_at)
    return fingerprint(invitation.pk, invitation.times_sent, invitation.sent_at, *ends)


@transaction.atomic
def send_again(
    *, invitation: Invitation, shown: str | None = None, by: Actor, at: datetime
) -> Invitation:
    """Send an open invitation again, with a new link for another 24 hours; the older link becomes
    invalid. The sender is the inviter from now on.

    Raises `PermissionDenied` as `invite`, and `ValidationError` with code `sent_too_often`, for an
    invitation that is not open, or if `shown` is no longer the `snapshot`.
    """
    by, current = _managed(invitation, by=by, at=at)
    if not current.is_open:
        raise InvitationRefused("used" if current.accepted_at else "withdrawn")
    refuse_changed(shown, snapshot(current))
    if current.times_sent >= MOST_SENDINGS:
        raise ValidationError(
            _(
                "This invitation has already been sent %(count)d times. Contact the person "
                "another way, or withdraw it and send a new invitation."
            ),
            code="sent_too_often",
            params={"count": MOST_SENDINGS},
        )
    current.invited_by, current.nonce = by.membership, draw_nonce()
    current.sent_at, current.expires_at = at, at + LINK_LIFETIME
    current.times_sent += 1
    current.save(update_fields=["invited_by", "nonce", "sent_at", "expires_at", "times_sent"])
    _record("invitation.sent_again", current, by=by, at=at)
    _post(current, at=at)
    return current


@transaction.atomic
def withdraw(*, invitation: Invitation, shown: str | None = None, by: Actor, at: datetime) -> bool:
    """Withdraw an invitation: its link becomes invalid. False if it is not open.

    Raises `PermissionDenied` as `invite`, and `ValidationError` if `shown` is no longer the
    `snapshot`: a late one may have been sent again meanwhile.
    """
    by, current = _managed(invitation, by=by, at=at)
    if not current.is_open:
        return False
    refuse_changed(shown, snapshot(current))
    _close(current, at=at)
    _record("invitation.withdrawn", current, by=by, at=at)
    return True


@sensitive_variables("password")
def accept(
    *,
    invitation: Invitation,
    user: User,
    password: str | None = None,
    name: str = "",
    time_zone: str = "UTC",
    by: Actor,
    at: datetime,
) -> Membership:
    """Join the account as the invited user. `invitation` is what `find` returned.

    The link proves access to the address, which counts as confirmed. A new user gets this
    `password`, `time_zone` and `name` (without one, what the inviter called them); what was
    typed at an unconfirmed sign-up is discarded.

    Raises `InvitationRefused`, `PermissionDenied` for another person, and `ValidationError` for a
    weak password.
    """
    try:
        with transaction.atomic():
            membership = _accept(invitation, user, is_new=password is not None, by=by, at=at)
            if password is not None:
                _set_profile(user, name or user.name, time_zone)  # no password may be like the name
                set_password(user=user, password=password, by=by, at=at)
            return membership
    except InvitationRefused as refusal:
        record_refused_link(invitation=invitation, why=str(refusal.code), by=by, at=at)
        raise
    except PermissionDenied:
        record_refused_link(invitation=invitation, why=OTHER_PERSON, by=by, at=at)
        raise


def _set_profile(user: User, name: str, time_zone: str) -> None:
    validate_time_zone(time_zone)
    if name != user.name:
        validate_name(name)
    user.name, user.time_zone = name, time_zone
    user.save(update_fields=["name", "time_zone"])


def find(signed: str, *, by: Actor, at: datetime) -> Invitation:
    """The invitation of a valid link. Raises `InvitationRefused`, and records that in the account's
    audit log."""
    try:
        pk, nonce = signing.loads(signed, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        raise InvitationRefused("unknown") from None
    invitation = _with_people().filter(pk=pk).first()
    if invitation is None:
        raise InvitationRefused("unknown")
    try:
        _refuse_unless_good(invitation, nonce=nonce, at=at)
    except InvitationRefused as refusal:
        record_refused_link(invitation=invitation, why=str(refusal.code), by=by, at=at)
        raise
    return invitation


def record_refused_link(*, invitation: Invitation, why: str, by: Actor, at: datetime) -> None:
    """Record that a link was refused. `why` is one of the `REFUSALS`, or `OTHER_PERSON`. Opening it
    again and again does not fill the audit log: see `REFUSAL_EVENTS`.

    Another user who opened it is not named: that a person has another address, or another account,
    is not this account's business.
    """
    try:
        rate_limits.acquire(REFUSAL_EVENTS, f"{invitation.pk} {why}")
    except TooManyTries:
        return
    if by.user != invitation.user:
        by = replace(by, user=None, membership=None)
    _record("invitation.refused", invitation, by=by, at=at, code=why)


def still_stands(invitation: Invitation) -> bool:
    """True while the inviter would be allowed to invite."""
    inviter = invitation.invited_by
    return inviter is None or (
        inviter.is_administrator and not inviter.is_removed and inviter.user.is_active
    )


def signed_id(invitation: Invitation) -> str:
    """The signed part of the newest mail's link."""
    return signing.dumps([invitation.pk, invitation.nonce], salt=SALT)


def _invite(
    account: Account, email: str, role: Role, name: str, language: str, *, by: Actor, at: datetime
) -> Invitation:
    account = recheck.lock_account(account.pk)
    by = recheck.reauthorize(by, at)
    if not may_manage(by, account.pk):
        raise PermissionDenied(_("Only Administrators can invite users to the account."))
    invitation = Invitation(
        account=account,
        email=_address(email),
        name=name.strip(),
        language=language,
        role=role,
        invited_by=by.membership,
        created_at=at,
        sent_at=at,
        expires_at=at + LINK_LIFETIME,
    )
    invitation.clean_fields(exclude=["user"])
    if account.closed_at is not None:
        raise InvitationRefused("closed")
    _refuse_known_to_account(invitation, at=at)
    if not by.is_operator:
        _refuse_too_many(account, at=at)
    invitation.user = _person(invitation, at=at)
    invitation.save(force_insert=True)
    _record("invitation.sent", invitation, by=by, at=at)
    _post(invitation, at=at)
    return invitation


def _address(email: str) -> str:
    try:
        return normal_email(email)
    except ValidationError as refusal:
        raise ValidationError({"email": refusal.error_list}) from None


def _refuse_known_to_account(invitation: Invitation, *, at: datetime) -> None:
    account, email = invitation.account, invitation.email
    if Membership.objects.filter(account=account, user__email=email, removed_at=None).exists():
        raise ValidationError(
            {
                "email": ValidationError(
                    _("This person already belongs to the account."), code="already_member"
                )
            }
        )
    waiting = Invitation.objects.open().filter(account=account, user__email=email).first()
    if waiting is None:
        return
    if waiting.is_late(at):
        _close(waiting, at=at)
        return
    raise ValidationError(
        {
            "email": ValidationError(
                _("This person has already been invited. You can resend the invitation."),
                code="already_invited",
                params={"user": waiting.user_id, "account": account.pk},
            )
        }
    )


def _refuse_too_many(account: Account, *, at: datetime) -> None:
    """Known users count like new ones: otherwise the limit would reveal who is known."""
    limit = settings.INVITATIONS_PER_DAY
    since = at - timedelta(days=1)
    if Invitation.objects.filter(account=account, created_at__gt=since).count() >= limit:
        raise ValidationError(
            _(
                "An account can invite up to %(limit)d people in 24 hours, and this account has "
                "reached that limit. Try again tomorrow."
            ),
            code="too_many_invitations",
            params={"limit": limit},
        )


def _person(invitation: Invitation, *, at: datetime) -> User:
    """The user with the address, created now if there is none. If two accounts invite the same
    address at once, the database lets one create the user, and the other finds it."""
    new = User(
        email=invitation.email,
        name=invitation.name,
        language=invitation.language,
        date_joined=at,
    )
    new.set_unusable_password()
    new.pk = unused_id(new.pk)
    User.objects.bulk_create([new], ignore_conflicts=True)
    person = User.objects.get(email=invitation.email)
    if person.pk == new.pk:
        EmailAddress.objects.create(user=person, email=person.email, primary=True, verified=False)
    return person


def _accept(
    invitation: Invitation, user: User, *, is_new: bool, by: Actor, at: datetime
) -> Membership:
    account = recheck.lock_account(invitation.account_id)
    by = recheck.reauthorize(by, at)
    current = _with_people().get(pk=invitation.pk)
    _refuse_unless_good(current, nonce=invitation.nonce, at=at)
    if not (by.user == user == current.user) or by.token_id is not None:
        raise PermissionDenied(
            _("This invitation is for someone else. Sign out, then open the link again.")
        )
    if is_new and discard_sign_up(user=user, why=VOUCHED_FOR, by=by, at=at):
        user.name, user.language = current.name, current.language
        user.save(update_fields=["name", "language"])
    membership = join(account=account, user=user, role=current.given_role, at=at)
    current.accepted_at = at
    current.save(update_fields=["accepted_at"])
    # Only the address that was invited.
    EmailAddress.objects.filter(user=user, email=current.email).update(verified=True)
    _record("invitation.accepted", current, by=by, at=at)
    return membership


def _refuse_unless_good(invitation: Invitation, *, nonce: str, at: datetime) -> None:
    if invitation.accepted_at is not None:
        raise InvitationRefused("used")
    if invitation.withdrawn_at is not None:
        raise InvitationRefused("withdrawn")
    if invitation.nonce != nonce:
        raise InvitationRefused("replaced")
    if invitation.is_late(at):
        raise InvitationRefused("late")
    if invitation.account.closed_at is not None:
        raise InvitationRefused("closed")
    if not still_stands(invitation):
        raise InvitationRefused("inviter_left")


def _managed(invitation: Invitation, *, by: Actor, at: datetime) -> tuple[Actor, Invitation]:
    """Authorize the actor to manage this invitation. Returns both as of now, under the lock."""
    recheck.lock_account(invitation.account_id)
    by = recheck.reauthorize(by, at)
    if not may_manage(by, invitation.account_id):
        raise PermissionDenied(_("Only Administrators can manage the account's invitations."))
    return by, _with_people().get(pk=invitation.pk)


def _with_people() -> QuerySet[Invitation]:
    return Invitation.objects.select_related("account", "user", "invited_by__user")


def _close(invitation: Invitation, *, at: datetime) -> None:
    invitation.withdrawn_at = at
    invitation.save(update_fields=["withdrawn_at"])


def _post(invitation: Invitation, *, at: datetime) -> None:
    post(
        user_id=invitation.user_id,
        account_id=invitation.account_id,
        kind=INVITATION,
        facts={"invitation": invitation.pk, "sending": invitation.times_sent},
        at=at,
        give_up_after=LINK_LIFETIME,
    )
    enqueue_delivery_on_commit()


def _record(kind: str, invitation: Invitation, *, by: Actor, at: datetime, **details: Any) -> None:
    audit.record(
        kind,
        by=by,
        at=at,
        account_id=invitation.account_id,
        subject=invitation,
        email=invitation.email,
        role=invitation.given_role.label,
        **details,
    )


def _errors(refusal: ValidationError) -> list[ValidationError]:
    if hasattr(refusal, "error_dict"):
        return [error for errors in refusal.error_dict.values() for error in errors]
    return list(refusal.error_list)
