"""Services of sign-in: password reset, confirmed addresses, sessions, change of address."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization import half_sign_ins, sso_hooks
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import (
    invalidate_token_cache_on_commit,
    operators_only,
    reauthorize,
)
from accounts.email_addresses import normal_email
from accounts.http.client_ip import UNKNOWN_ADDRESS
from accounts.jwt import token_families
from accounts.models import User
from accounts.sign_in import email_change
from accounts.sign_in import emails as security_emails
from accounts.sign_in.registration import hand_over_address, is_proven
from accounts.throttling import rate_limits
from accounts.throttling.rate_limits import Limit

CHANGES_OF_EMAIL = Limit("change-email", 5, timedelta(hours=1))
"""So that a signed-in user cannot have the portal send mail to any number of addresses."""


class AddressChanged(ValidationError):
    """The change starts from an address that the user no longer has, or its link has ended."""


class AddressForced(ValidationError):
    """The user must sign in by single sign-on because of this address, and so cannot leave it."""


@transaction.atomic
def request_password_reset(*, email: str, by: Actor, at: datetime) -> None:
    """Send the link to reset the password to this address, if it is a user's.

    The answer does not reveal that: known or not, one event is written and one transaction
    committed. Users who must sign in through an identity provider get none: it would be of no use.
    """
    user = User.objects.filter(email=email, is_active=True).first()
    audit.record("password.reset_requested", by=by, at=at, subject=user)
    if user is not None and not sso_hooks.refuses(user):
        security_emails.reset_password(user=user, at=at)


@transaction.atomic
def confirm_address(*, user: User, by: Actor, at: datetime) -> None:
    """Mark the user's address as verified: they have opened a link that was sent to it."""
    rows = EmailAddress.objects.filter(user=user, email=user.email, verified=False)
    if rows.update(verified=True, primary=True):
        audit.record("email.confirmed", by=by, at=at, subject=user)


@transaction.atomic
def end_sessions(*, sessions: Iterable[UserSession], by: Actor, at: datetime) -> int:
    """End these sessions. Returns their number."""
    ended = 0
    for session in sessions:
        session.end()
        of = known_address(session)
        audit.record("session.ended", by=by, at=at, subject=session.user, of=of)
        ended += 1
    return ended


@transaction.atomic
def end_other_sessions(*, user: User, kept: str, by: Actor, at: datetime) -> int:
    """End all sessions of the user but the one with this key, and sign-ins that are half done.
    Returns the number of sessions."""
    half_sign_ins.end_all(user_id=user.pk)
    others = UserSession.objects.filter(user=user).exclude(session_key=kept)
    return end_sessions(sessions=others, by=by, at=at)


def known_address(session: UserSession) -> str:
    """The address that the session was last used from; empty if it is unknown."""
    return "" if session.ip == UNKNOWN_ADDRESS else str(session.ip)


@transaction.atomic
def request_email_change(*, user: User, email: str, by: Actor, at: datetime) -> None:
    """Send a link to the address that the user wants to sign in with from now on.

    Only for the user, shortly after signing in (in a browser the view has checked that): an open
    browser or a leaked token must not suffice to take over the address. The answer does not reveal
    whether another user has the address; the mail that goes there does. A user of whom nothing is
    proven keeps nobody from it.

    Raises `PermissionDenied`, `ValidationError` by field (`AddressForced` is one), and
    `TooManyTries`.
    """
    by = reauthorize(by, at)
    _refuse_all_but_themselves(user, by=by, at=at)
    wanted = _normal(email)
    if wanted == user.email:
        raise ValidationError({"email": _("This is already your address. Enter a different one.")})
    _refuse_leaving_sso(user, wanted)
    rate_limits.acquire(CHANGES_OF_EMAIL, str(user.pk))
    audit.record("email.change_requested", by=by, at=at, subject=user)
    _end_links(user)
    other = User.objects.filter(email=wanted).first()
    if other is not None and is_proven(other):
        security_emails.address_is_known(user=other, at=at)
    else:
        security_emails.confirm_change(user=user, email=wanted, at=at)


@transaction.atomic
def change_email(*, user: User, email: str, by: Actor, at: datetime) -> None:
    """Set the user's verified new address, and send a security e-mail to the former one.

    For the user, who has opened the link, and for operators, who vouch for the address. Raises
    `AddressChanged`, `AddressForced`, and `ValidationError` if another user has it meanwhile, of
    whom something is proven.
    """
    before, state = user.email, email_change.state_of(user)
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    is_ended = not by.is_operator and email_change.state_of(user) != state
    if user.email != before or is_ended:
        raise AddressChanged(_("The address has been changed in the meantime."), code="used")
    if by.is_operator:
        by = operators_only(by, at)
    else:
        _refuse_leaving_sso(user, email)  # may have become forced since they asked
    user.email = normal_email(email)
    hand_over_address(email=user.email, to=user, by=by, at=at)
    user.clean_fields(exclude={each.name for each in User._meta.fields} - {"email"})
    user.validate_unique()
    try:
        with transaction.atomic():
            user.save(update_fields=["email"])
    except IntegrityError:
        user.validate_unique()  # another user got the address at this very moment
        raise
    _end_links(user)
    EmailAddress.objects.filter(user=user).delete()
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    # Introspection of their tokens answers the address.
    invalidate_token_cache_on_commit(user_id=user.pk, is_weaker=False)
    audit.record("email.changed", by=by, at=at, subject=user, before=before, after=user.email)
    security_emails.send_security_email(
        user=user,
        event="email_changed",
        at=at,
        client=by.address or "",
        address=before,
        to=user.email,
    )


def _end_links(user: User) -> None:
    """End the links that confirm a change, those of mails that have not gone out yet too."""
    number = F("email_change_number") + 1
    User.objects.filter(pk=user.pk).update(email_change_number=number)
    user.refresh_from_db(fields=["email_change_number"])


def _refuse_all_but_themselves(user: User, *, by: Actor, at: datetime) -> None:
    if by.user != user or by.is_operator:
        raise PermissionDenied(_("You can change only your own email address."))
    if by.token_id is not None:
        raise PermissionDenied(
            _("You can't change your email address with an API token. Sign in and change it there.")
        )
    if by.family_id is not None and not token_families.has_just_signed_in(by.family_id, at=at):
        raise PermissionDenied(
            _(
                "You signed in too long ago to change your email address. Sign in again and send "
                "the request within 5 minutes with the new access token."
            )
        )


def _refuse_leaving_sso(user: User, email: str) -> None:
    """An address in an approved domain is why its account forces the user. Only others may take it
    away from them."""
    if sso_hooks.leaves_forced_domain(user, email):
        sentence = _(
            "Your account allows only single sign-on with this address. Ask an operator of the "
            "portal to change it."
        )
        raise AddressForced({"email": ValidationError(sentence, code="sso_forced")})


def _normal(email: str) -> str:
    try:
        return normal_email(email)
    except ValidationError as refusal:
        raise ValidationError({"email": refusal.error_list}) from None
