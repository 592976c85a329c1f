"""Sign-in through the API: e-mail and password for a pair of short-lived tokens (JWT)."""

from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization import sso_hooks
from accounts.authorization.actor import Actor, EntryPoint
from accounts.email_addresses import known_email
from accounts.http.client_ip import network_of
from accounts.jwt import token_families
from accounts.jwt.tokens import Pair
from accounts.models import User
from accounts.sign_in.mfa import has_two_factors, use_code
from accounts.text.passwords import LONGEST_PASSWORD
from accounts.throttling import password_hashing, rate_limits
from accounts.throttling.rate_limits import Limit
from accounts.throttling.sign_in_limits import CODES

MINUTE = timedelta(minutes=1)
BY_EMAIL = Limit("jwt-login-email", 5, MINUTE)
BY_ADDRESS = Limit("jwt-login-address", 20, MINUTE)


@sensitive_variables()
@password_hashing.place()
def sign_in(
    *,
    email: str,
    password: str,
    one_time_password: str = "",
    at: datetime,
    address: str | None,
    user_agent: str = "",
) -> Pair:
    """A pair for the first account of the user with this e-mail and password.

    Raises `ValidationError`: code `bad_credentials`, the same for everything that may be wrong, and
    for users who must sign in through an identity provider; with two factors by field
    `one_time_password`, codes `required` and `invalid`. Raises `TooManyTries` after 5 tries a
    minute for one e-mail, 20 from one address, and `TooBusy` before a try is counted.
    """
    known = known_email(email)
    rate_limits.acquire_all((BY_ADDRESS, network_of(address)), (BY_EMAIL, known or email))
    try:
        # The slow part comes first, and outside of the transaction.
        user = _authenticate(known, password)
        if user is None or sso_hooks.is_forced(user):
            raise _bad_credentials()
        return _begin(user, one_time_password, at=at, address=address, user_agent=user_agent)
    except ValidationError as refusal:
        _record_refusal(known, refusal, at=at, address=address, user_agent=user_agent)
        raise


@transaction.atomic
@sensitive_variables("code")
def _begin(checked: User, code: str, *, at: datetime, address: str | None, user_agent: str) -> Pair:
    user = token_families.lock_user(checked.pk)
    membership = token_families.present_member(Q(), user=user)
    if user.password != checked.password or not user.is_active or membership is None:
        raise _bad_credentials()
    _use_second_factor(user, code, at=at)
    by = Actor(through=EntryPoint.API, user=user, address=address)
    user.last_login = at
    user.save(update_fields=["last_login"])
    audit.record(
        "sign_in.succeeded",
        by=by,
        at=at,
        subject=user,
        auth_type="jwt",
        user_agent=user_agent,
    )
    try:
        return token_families.begin(membership=membership, by=by, at=at)
    except token_families.SSOForced:  # since a moment ago
        raise _bad_credentials() from None


@sensitive_variables("password")
def _authenticate(email: str | None, password: str) -> User | None:
    """The user, if the address is verified and the password right. Takes as long for an unknown
    address, so that timing does not reveal which ones are known."""
    if email is None or not 0 < len(password) <= LONGEST_PASSWORD:
        return None
    user = authenticate(None, email=email, password=password)
    if not isinstance(user, User):
        return None
    confirmed = EmailAddress.objects.filter(user=user, email__iexact=user.email, verified=True)
    return user if confirmed.exists() else None


@sensitive_variables("code")
def _use_second_factor(user: User, code: str, *, at: datetime) -> None:
    """Consume a code of the authenticator app or a recovery code, if the user has two factors."""
    if not has_two_factors(user):
        return
    if not code:
        raise _bad_code(
            _("Also send a code from your authenticator app, or a recovery code."), "required"
        )
    # Counted before it is checked, so that parallel tries do not get around the limit.
    rate_limits.acquire(CODES, str(user.pk))
    factor = use_code(user=user, code=code, at=at)
    if factor is None:
        raise _bad_code(
            _("This code is incorrect or has already been used. Wait for the next one."), "invalid"
        )
    rate_limits.forget(CODES, str(user.pk))
    factor.record_usage()


def _bad_code(sentence: str, code: str) -> ValidationError:
    return ValidationError({"one_time_password": ValidationError(sentence, code=code)})


def _bad_credentials() -> ValidationError:
    return ValidationError(
        _("No active account found with the given credentials."), code="bad_credentials"
    )


def _record_refusal(
    email: str | None,
    refusal: ValidationError,
    *,
    at: datetime,
    address: str | None,
    user_agent: str,
) -> None:
    """Record the refusal with the user it was tried for, if the address is known."""
    is_code = hasattr(refusal, "error_dict")
    audit.record(
        "sign_in.refused",
        by=Actor(through=EntryPoint.API, address=address),
        at=at,
        subject=User.objects.filter(email=email).first() if email else None,
        auth_type="jwt",
        user_agent=user_agent,
        code="one_time_password" if is_code else "bad_credentials",
    )
