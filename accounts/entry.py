"""The verbs of getting in: sign-up, a forgotten password, another address."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts import audit, federation, letters, ratelimits
from accounts.actors import Actor, Through
from accounts.emails import normal_email
from accounts.jwt import families
from accounts.models import Account, Membership, User
from accounts.ratelimits import Limit
from accounts.roles import Role
from accounts.standing import announce, as_of_now

CHANGES_OF_EMAIL = Limit("change-email", 5, timedelta(hours=1))
"""Whoever is signed in could otherwise have the portal write to any number of strangers."""


def is_open_for_sign_up() -> bool:
    """True if strangers may open an account of their own."""
    return bool(settings.SIGN_UP == "open")


@sensitive_variables("password")
@transaction.atomic
def sign_up(
    *,
    email: str,
    password: str,
    account_name: str,
    name: str = "",
    language: str = "en",
    time_zone: str = "UTC",
    by: Actor,
    at: datetime,
) -> User:
    """Make a person, and an account whose first Administrator they are. They cannot sign in before
    they have confirmed the address; the mail that asks for it is the caller's.

    Somebody who was invited, and has not answered, signs up like anybody: otherwise an invitation
    would keep them from an account of their own.

    Raises `ValidationError` by field (code `unique` for an address that is taken), and
    `PermissionDenied` where sign-up is closed.
    """
    _refuse_unless_open()
    account = Account(name=account_name, created_at=at)
    _clean(account, "account_name")
    facts = {"name": name, "language": language, "time_zone": time_zone}
    user = _only_invited(email)
    if user is None:
        user = User.objects.create_user(email, password, **facts, date_joined=at)
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=False)
    else:
        user.name, user.language, user.time_zone = name, language, time_zone
        user.set_password(password)
        user.clean_fields(exclude=["password"])
        user.save(update_fields=[*facts, "password"])
    audit.record("user.signed_up", by=by, at=at, subject=user)
    _open(account, user, by=by, at=at)
    return user


@transaction.atomic
def open_own_account(*, user: User, account_name: str, by: Actor, at: datetime) -> Membership:
    """Open an account for somebody who belongs to none: they have left, were removed, or came by an
    invitation that lapsed. As by `sign_up`, they are its first Administrator.

    Raises `ValidationError` by field, and `PermissionDenied` where sign-up is closed, for who has
    an account (a closed one, too: operators open it again), for who has not confirmed their
    address, and for everybody but themselves in person.
    """
    _refuse_unless_open()
    # Whoever sends the form twice queues here, and has an account the second time.
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    as_of_now(by, at)
    if by.user != user or by.through is not Through.PORTAL:
        raise PermissionDenied(_("Everybody opens an account for themselves only, in the portal."))
    if Membership.objects.filter(user=user, removed_at=None).exists():
        raise PermissionDenied(_("You belong to an account already, and can't open another one."))
    if not EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists():
        raise PermissionDenied(_("Confirm your e-mail address first."))
    account = Account(name=account_name, created_at=at)
    _clean(account, "account_name")
    return _open(account, user, by=by, at=at)


@transaction.atomic
def ask_for_password(*, email: str, by: Actor, at: datetime) -> None:
    """Send the link for a new password to this address, if it is somebody's.

    Nobody hears whether it is: known or not, one event is written and one transaction committed.
    Somebody whom their account makes sign in through its provider gets none: it would lead nowhere.
    """
    user = User.objects.filter(email=email, is_active=True).first()
    audit.record("password.reset_asked", by=by, at=at, subject=user)
    if user is not None and not federation.refuses(user):
        letters.reset_password(user=user, at=at)


@transaction.atomic
def confirm_address(*, user: User, by: Actor, at: datetime) -> None:
    """Take the user's address as theirs: they have opened a link that was sent to it."""
    rows = EmailAddress.objects.filter(user=user, email=user.email, verified=False)
    if rows.update(verified=True, primary=True):
        audit.record("email.confirmed", by=by, at=at, subject=user)


@transaction.atomic
def end_sessions(*, sessions: Iterable[UserSession], by: Actor, at: datetime) -> int:
    """Sign the person out of these browsers. Returns of how many."""
    ended = 0
    for session in sessions:
        session.end()
        audit.record("session.ended", by=by, at=at, subject=session.user, of=session.ip)
        ended += 1
    return ended


@transaction.atomic
def ask_for_email(*, user: User, email: str, by: Actor, at: datetime) -> None:
    """Send a link to the address that the person wants to sign in with from now on.

    Only they ask for it, and have just signed in (in a browser, its door has seen to that): whoever
    finds an open browser or a token must not get the person's mail. Nobody hears whether another
    user has the address; whoever reads mail there does.

    Raises `PermissionDenied`, `ValidationError` by field, and `TooManyTries`.
    """
    by = as_of_now(by, at)
    _refuse_all_but_themselves(user, by=by, at=at)
    wanted = _wanted(email)
    if wanted == user.email:
        raise ValidationError({"email": _("This is your address already. Enter another one.")})
    ratelimits.take(CHANGES_OF_EMAIL, str(user.pk))
    audit.record("email.change_asked", by=by, at=at, subject=user)
    if (other := User.objects.filter(email=wanted).first()) is not None:
        letters.address_is_known(user=other, at=at)
    else:
        letters.confirm_change(user=user, email=wanted, at=at)


@transaction.atomic
def change_email(*, user: User, email: str, by: Actor, at: datetime) -> None:
    """Give the user this address, which they have proven to be theirs, and tell the one before.

    Raises `ValidationError` if somebody else has it meanwhile.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    before, user.email = user.email, normal_email(email)
    user.clean_fields(exclude=["password"])
    user.validate_unique()
    try:
        with transaction.atomic():
            user.save(update_fields=["email"])
    except IntegrityError:
        user.validate_unique()  # somebody else got the address at this very moment
        raise
    EmailAddress.objects.filter(user=user).delete()
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    announce(user_id=user.pk)  # who asks about their tokens is told the address
    audit.record("email.changed", by=by, at=at, subject=user, before=before, after=user.email)
    letters.warn(
        user=user,
        news="email_changed",
        at=at,
        client=by.address or "",
        address=before,
        to=user.email,
    )


def _refuse_unless_open() -> None:
    if not is_open_for_sign_up():
        raise PermissionDenied(
            _(
                "This portal takes people by invitation only. Ask an Administrator of your "
                "account to invite you."
            )
        )


def _open(account: Account, user: User, *, by: Actor, at: datetime) -> Membership:
    account.save()
    member = Membership.objects.create(
        account=account, user=user, role=Role.ADMINISTRATORS, created_at=at
    )
    audit.record("account.opened", by=by, at=at, account=account, subject=account)
    audit.record(
        "member.added",
        by=by,
        at=at,
        account=account,
        subject=member,
        role=Role.ADMINISTRATORS.label,
    )
    return member


def _refuse_all_but_themselves(user: User, *, by: Actor, at: datetime) -> None:
    if by.user != user or by.is_operator:
        raise PermissionDenied(_("Everybody changes their own e-mail address only."))
    if by.token_id is not None:
        raise PermissionDenied(
            _("An API token cannot change your e-mail address. Sign in, and change it yourself.")
        )
    if by.family_id is not None and not families.has_just_signed_in(by.family_id, at=at):
        raise PermissionDenied(
            _(
                "You signed in too long ago to change your e-mail address. Sign in again, and ask "
                "within 5 minutes with the new access token."
            )
        )


def _wanted(email: str) -> str:
    try:
        return normal_email(email)
    except ValidationError as refusal:
        raise ValidationError({"email": refusal.error_list}) from None


def _only_invited(email: str) -> User | None:
    """Whoever is here only because others have invited them: nobody has signed in as them ever."""
    found = User.objects.select_for_update(of=("self",), no_key=True).filter(
        email=normal_email(email)
    )
    user = found.filter(is_active=True, memberships__isnull=True).first()
    if user is None or user.has_usable_password():
        return None
    is_proven = EmailAddress.objects.filter(user=user, verified=True).exists()
    return None if is_proven else user


def _clean(account: Account, field: str) -> None:
    """Validate, and tell what is wrong with the name by the name of the form's field."""
    try:
        account.full_clean()
    except ValidationError as refusal:
        raise ValidationError({field: refusal.message_dict["name"]}) from None
