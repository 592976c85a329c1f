"""Services of registration: sign-up, its end if nobody confirms it, and opening an own account."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.deletion import ProtectedError
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from accounts.authorization.recheck import reauthorize
from accounts.email_addresses import normal_email
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Role
from accounts.tenancy.registration_policy import is_open_for_sign_up
from accounts.users import services as user_services
from notifications import jobs

LATE, VOUCHED_FOR = "late", "vouched_for"
"""Why a sign-up was discarded."""


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
    """Create a user, and an account whose first Administrator they are. They cannot sign in before
    they have confirmed the address; the caller sends the mail that asks for it.

    A user who exists only because of an open invitation signs up like a new one: otherwise an
    invitation would keep them from an account of their own.

    Raises `ValidationError` by field (code `unique` for an address that is taken), and
    `PermissionDenied` where sign-up is closed.
    """
    _refuse_unless_open()
    account = Account(name=account_name, created_at=at)
    _clean(account, "account_name")
    profile = {"name": name, "language": language, "time_zone": time_zone}
    user = _only_invited(email)
    if user is None:
        user = User.objects.create_user(email, password, **profile, date_joined=at)
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=False)
    else:
        user.name, user.language, user.time_zone = name, language, time_zone
        user.set_password(password)
        user.clean_fields(exclude=["password"])
        user.save(update_fields=[*profile, "password"])
    audit.record("user.signed_up", by=by, at=at, subject=user)
    _open(account, user, by=by, at=at)
    return user


@transaction.atomic
def open_own_account(*, user: User, account_name: str, by: Actor, at: datetime) -> Membership:
    """Open an account for a user who belongs to none: they have left, were removed, or have an
    invitation that lapsed. As by `sign_up`, they are its first Administrator.

    Raises `ValidationError` by field, and `PermissionDenied` where sign-up is closed, for users who
    have an account (a closed one, too: operators open it again) or an unconfirmed address, and for
    everybody but the user in person.
    """
    _refuse_unless_open()
    # A form that is sent twice waits here, and finds an account the second time.
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    reauthorize(by, at)
    if by.user != user or by.through is not EntryPoint.PORTAL:
        raise PermissionDenied(_("You can open an account only for yourself, in the portal."))
    if Membership.objects.filter(user=user, removed_at=None).exists():
        raise PermissionDenied(_("You already belong to an account and can't open another one."))
    if not EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists():
        raise PermissionDenied(_("Confirm your email address first."))
    account = Account(name=account_name, created_at=at)
    _clean(account, "account_name")
    return _open(account, user, by=by, at=at)


def discard_sign_up(*, user: User, why: str, by: Actor, at: datetime) -> bool:
    """Discard a sign-up that nobody has confirmed: anybody may have typed the address. The account
    that it opened is closed, and what is left is a user without a password, as of an invitation.

    `why` is `LATE` or `VOUCHED_FOR`. False if the sign-up counts: see `_unconfirmed`.
    """
    try:
        with transaction.atomic():
            return _discard(user, why, by=by, at=at)
    except ProtectedError:  # the account is in use after all
        return False


@sensitive_variables("password")
@transaction.atomic
def vouch_for(
    *,
    email: str,
    password: str | None,
    name: str = "",
    companies: Iterable[str] = (),
    by: Actor,
    at: datetime,
) -> User:
    """The user with this address, whose holder an operator vouches for. Where nothing is proven of
    them, as of a new one, they get this name and password, whatever a stranger has chosen who
    signed up with the address. Raises `ValidationError` by field."""
    user = User.objects.filter(email=email).first()
    if user is None:
        return user_services.create_user(
            email=email, password=password, name=name, companies=companies, by=by, at=at
        )
    discard_sign_up(user=user, why=VOUCHED_FOR, by=by, at=at)
    if is_only_invited(user := User.objects.get(pk=user.pk)) and password is not None:
        user.name = name
        user.clean_fields(exclude=["password"])
        user.save(update_fields=["name"])
        user_services.set_password(user=user, password=password, by=by, at=at)
        EmailAddress.objects.update_or_create(
            user=user, email=user.email, defaults={"primary": True, "verified": True}
        )
    return user


def is_proven_address(email: str) -> bool:
    """True if there is a user with this address, of whom something is proven."""
    user = User.objects.filter(email=email).first()
    return user is not None and is_proven(user)


def is_proven(user: User) -> bool:
    """False for a user of whom nothing is proven: a sign-up that nobody has confirmed, or one who
    exists only because of invitations."""
    return not (is_only_invited(user) or _unconfirmed().filter(pk=user.pk).exists())


def is_only_invited(user: User) -> bool:
    """True for a user created by an invitation who has never signed in: no password, no membership
    and no verified address. Operators and those who are switched off are none."""
    return user.is_active and not (
        user.is_staff
        or user.has_usable_password()
        or user.memberships.exists()
        or EmailAddress.objects.filter(user=user, verified=True).exists()
    )


def hand_over_address(*, email: str, to: User, by: Actor, at: datetime) -> None:
    """Let go of the address, which `to` has proven to be theirs, if nothing is proven of the user
    who has it: anybody may have signed up with it, or invited it. Their invitations become those of
    `to`, but where `to` belongs to the account already, or is invited. Part of a transaction.

    Nothing is done for a user of whom something is proven.
    """
    others = User.objects.exclude(pk=to.pk).filter(email=email)
    holder = others.first()
    if holder is None:
        return
    discard_sign_up(user=holder, why=VOUCHED_FOR, by=by, at=at)
    # Not `no_key`: who accepts an invitation at this moment waits, or is waited for.
    holder = others.select_for_update(of=("self",)).first()
    if holder is None or not is_only_invited(holder):
        return
    sent = Invitation.objects.filter(user=holder)
    belongs = Membership.objects.filter(user=to, removed_at=None)
    invited = Invitation.objects.open().filter(user=to)
    known = {row.account_id for rows in (belongs, invited) for row in rows.only("account")}
    try:
        with transaction.atomic():
            sent.open().filter(account__in=known).update(withdrawn_at=at)
            sent.update(user=to)
            holder.delete()
    except ProtectedError:  # named by what has happened: the address stays theirs
        return


def discard_late_sign_ups(*, at: datetime) -> int:
    """Discard the sign-ups of `UNCONFIRMED_SIGN_UP_DAYS` ago, and delete their users unless an
    invitation or the audit log names them. Idempotent. Returns how many there were. Raises
    `SomeFailed` when all others are done."""
    by = Actor.operator(through=EntryPoint.SYSTEM)
    before = at - timedelta(days=settings.UNCONFIRMED_SIGN_UP_DAYS)
    recent = Membership.objects.filter(user=OuterRef("pk"), created_at__gt=before)
    late = _unconfirmed().filter(~Exists(recent), date_joined__lte=before)
    return jobs.for_each(list(late), partial(_discard_late, by=by, at=at))


def _discard_late(user: User, *, by: Actor, at: datetime) -> bool:
    with transaction.atomic():
        if not discard_sign_up(user=user, why=LATE, by=by, at=at):
            return False
        try:
            with transaction.atomic():
                user.delete()
        except ProtectedError:
            pass
    return True


def _unconfirmed() -> QuerySet[User]:
    """Users who signed up and of whom nothing is proven: no confirmed address, no sign-in and no
    second factor. They belong to no account but their own, where there is nobody else."""
    own = OuterRef("pk")
    others = Membership.objects.filter(account=OuterRef("account")).exclude(user=OuterRef("user"))
    invited = Invitation.objects.filter(account=OuterRef("account"))
    real = Membership.objects.filter(Exists(others) | Exists(invited), user=own)
    return User.objects.filter(
        ~Exists(EmailAddress.objects.filter(user=own, verified=True)),
        ~Exists(Authenticator.objects.filter(user=own)),
        ~Exists(real),
        ~Q(password__startswith=UNUSABLE_PASSWORD_PREFIX),  # others have brought them in
        Exists(Membership.objects.filter(user=own)),
        is_active=True,
        is_staff=False,
        last_login=None,
    )


def _discard(user: User, why: str, *, by: Actor, at: datetime) -> bool:
    # Who confirms the address at this moment waits, or is waited for.
    list(User.objects.select_for_update(no_key=True).filter(pk=user.pk))
    list(EmailAddress.objects.select_for_update(no_key=True).filter(user=user))
    if not _unconfirmed().filter(pk=user.pk).exists():
        return False
    opened = list(Account.objects.filter(memberships__user=user))
    Membership.objects.filter(user=user).delete()
    for account in opened:
        _close(account, by=by, at=at)
    user.name = user.phone = ""  # a stranger may have written them
    user.set_unusable_password()
    user.save(update_fields=["name", "phone", "password"])
    audit.record("user.sign_up_discarded", by=by, at=at, subject=user, code=why)
    return True


def _close(account: Account, *, by: Actor, at: datetime) -> None:
    if Account.objects.filter(pk=account.pk, closed_at=None).update(closed_at=at):
        audit.record("account.closed", by=by, at=at, account=account, subject=account)


def _refuse_unless_open() -> None:
    if not is_open_for_sign_up():
        raise PermissionDenied(
            _("This portal is invitation-only. Ask an Administrator of your account to invite you.")
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


def _only_invited(email: str) -> User | None:
    """The user who exists only because of invitations: nobody has ever signed in as them."""
    found = User.objects.select_for_update(of=("self",), no_key=True).filter(
        email=normal_email(email)
    )
    user = found.first()
    return user if user is not None and is_only_invited(user) else None


def _clean(account: Account, field: str) -> None:
    """Validate, with errors of the name under the name of the form's field."""
    try:
        account.full_clean()
    except ValidationError as refusal:
        raise ValidationError({field: refusal.message_dict["name"]}) from None
