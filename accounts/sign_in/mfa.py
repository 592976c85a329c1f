"""Second factors: authenticator apps, passkeys, recovery codes.

django-allauth stores them. What differs here: secrets are encrypted, a code works once, and the
relying party of passkeys is the host of BASE_URL, not the one that a request names.
"""

import base64
import logging
import unicodedata
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.utils import decrypt
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.audit import recorder as audit
from accounts.authorization import half_sign_ins
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import operators_only
from accounts.models import User
from accounts.sign_in import emails as security_emails
from accounts.throttling import sign_in_limits
from accounts.throttling.rate_limits import TooManyTries

logger = logging.getLogger(__name__)
Type = Authenticator.Type
FACTORS = (Type.TOTP, Type.WEBAUTHN)
"""Types that count as a second factor; recovery codes only stand in for one."""


def has_two_factors(user: User) -> bool:
    """True if the password alone does not sign this user in."""
    return bool(Authenticator.objects.filter(user=user, type__in=FACTORS).exists())


def is_given(request: HttpRequest) -> bool:
    """True if the session has seen a second factor, at the sign-in or since."""
    records = get_authentication_records(request, request.user)
    return any(record["method"] == "mfa" for record in records)


def page_to_give_it(user: User) -> str | None:
    """The name of the page that asks a signed-in user for a second factor; None without one."""
    types = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    if Type.TOTP in types:
        return "mfa_reauthenticate"
    return "mfa_reauthenticate_webauthn" if Type.WEBAUTHN in types else None


@transaction.atomic
def use_code(*, user: User, code: str, at: datetime) -> Authenticator | None:
    """Consume a code, and return the factor that it belongs to; None for a wrong code.

    Codes of the app work once and in their order, recovery codes once. If the same code is sent
    twice at once, one request succeeds.
    """
    typed = normal_code(code)
    factors = (
        Authenticator.objects.select_for_update().filter(user=user).exclude(type=Type.WEBAUTHN)
    )
    for factor in factors.order_by("-type"):
        if _uses(factor, typed, at):
            factor.user = user
            return factor
    return None


def normal_code(text: str) -> str:
    """The code without blanks, hyphens and invisible characters, its digits in ASCII: keyboards of
    other scripts type others, and full-width ones come from input methods."""
    return "".join(
        str(unicodedata.decimal(each)) if each.isdecimal() else each
        for each in text
        if not each.isspace() and unicodedata.category(each) not in ("Cf", "Pd")
    )


@transaction.atomic
def disable(*, user: User, by: Actor, at: datetime) -> bool:
    """Remove all second factors of a user who has lost them. False if there is none.

    For operators, who have verified the person's identity. Raises `PermissionDenied` for everybody
    else.
    """
    by = operators_only(by, at)
    deleted, _counts = Authenticator.objects.filter(user=user).delete()
    if deleted:
        half_sign_ins.end_all(user_id=user.pk)
        audit.record("mfa.disabled", by=by, at=at, subject=user)
        security_emails.send_security_email(user=user, event="switched_off", at=at)
    return bool(deleted)


def codes_left(factor: Authenticator) -> int:
    """The number of unused recovery codes; 0 if the key that encrypts them is lost."""
    try:
        return len(RecoveryCodes(factor).get_unused_codes())
    except InvalidToken:
        _log_lost_key(factor)
        return 0


def _uses(factor: Authenticator, code: str, at: datetime) -> bool:
    try:
        if factor.type == Type.RECOVERY_CODES:
            return _uses_recovery_code(factor, code)
        return _uses_app(factor, code, at)
    except InvalidToken:
        _log_lost_key(factor)
        return False


def _uses_app(factor: Authenticator, code: str, at: datetime) -> bool:
    """Check a time-based code: steps of 30 seconds, with one step early or late permitted."""
    secret, present = decrypt(factor.data["secret"]), int(at.timestamp()) // 30
    for counter in (present - 1, present, present + 1):
        right = format_hotp_value(hotp_value(secret, counter))
        if constant_time_compare(right, code) and counter > factor.data.get("last_counter", 0):
            factor.data["last_counter"] = counter
            _save(factor, "secret")
            return True
    return False


def _uses_recovery_code(factor: Authenticator, code: str) -> bool:
    codes = RecoveryCodes(factor)
    if not codes.validate_code(code):
        return False
    _save(codes.instance, "seed")
    return True


def _save(factor: Authenticator, secret: str) -> None:
    """Save the factor, its secret encrypted under the newest key, so that older ones retire."""
    factor.data[secret] = _cipher().rotate(factor.data[secret].encode()).decode()
    factor.save(update_fields=["data"])


def _log_lost_key(factor: Authenticator) -> None:
    logger.error(
        "Second factor %s of user %s was encrypted with a key that is neither SECRET_KEY nor among "
        "SECRET_KEY_FALLBACKS: it lets nobody in.",
        factor.pk,
        factor.user_id,
    )


class _CodeMixin:
    """Checks a typed code by the rules above, within the rate limit."""

    user: User
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        try:
            subject = sign_in_limits.acquire_code(context.request, self.user)
        except TooManyTries:
            raise get_adapter().validation_error("too_many_login_attempts") from None
        code: str = self.cleaned_data["code"]
        factor = use_code(user=self.user, code=code, at=timezone.now())
        if factor is None:
            self._signal_failure()
            raise SecondFactorAdapter().validation_error("incorrect_code")
        self.authenticator = factor
        sign_in_limits.forget_codes(subject)
        return code

    def _signal_failure(self) -> None:
        factor = Authenticator.objects.filter(user=self.user).exclude(type=Type.WEBAUTHN).first()
        if factor is not None:
            self._emit_authentication_failed(factor)  # type: ignore[attr-defined]  # allauth's


class SecondFactorForm(_CodeMixin, AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    pass


class SecondFactorAgainForm(_CodeMixin, ReauthenticateForm):  # type: ignore[misc]  # as above
    pass


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": gettext_lazy(
            "This code is incorrect or has already been used. Wait for the next one and enter it."
        ),
        "cannot_generate_recovery_codes": gettext_lazy(
            "Recovery codes are a backup for your second factor. Add an authenticator app or a "
            "passkey first."
        ),
        "unverified_email": gettext_lazy("Confirm your email address first."),
    }

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {"id": urlsplit(settings.BASE_URL).hostname or "localhost", "name": "Permatoken"}

    def _get_site_name(self) -> str:
        return "Permatoken"

    def generate_authenticator_name(self, user: User, type: str) -> str:  # noqa: A002  # allauth's
        count = Authenticator.objects.filter(user=user, type=type).count()
        return _("Passkey %(number)d") % {"number": count + 1}


def _cipher() -> MultiFernet:
    """Encrypts with SECRET_KEY, and decrypts with older keys too."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key(secret)) for secret in keys])


def _key(secret: str) -> bytes:
    digest = salted_hmac("accounts.secondfactors", "", secret=secret, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest)


def consume_first_code(user: User) -> None:
    """Consume the code that activated the app, like any other."""
    request = context.request
    if request is not None:
        use_code(user=user, code=request.POST.get("code", ""), at=timezone.now())
