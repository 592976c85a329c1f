"""The adapter of django-allauth: calls our services, records sign-ins, wants re-authentication."""

import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.account.internal.stagekit import clear_login
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed, password_reset
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed, authenticator_removed
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization import half_sign_ins, sso_hooks
from accounts.authorization.actor import Actor, EntryPoint
from accounts.authorization.sso_hooks import METHOD
from accounts.email_addresses import known_email, normal_email
from accounts.http import session_backend
from accounts.http.client_ip import UNKNOWN_ADDRESS, client_address
from accounts.http.redirects import is_our_path
from accounts.models import User
from accounts.passwords.policy import refuse_weak_password
from accounts.sign_in import emails as security_emails
from accounts.sign_in import mfa
from accounts.sign_in import services as sign_in_services
from accounts.tenancy import registration_policy
from accounts.throttling import password_hashing, rate_limits, sign_in_limits
from accounts.throttling.known_browsers import remember_browser
from accounts.throttling.rate_limits import TooManyTries
from accounts.users import services as user_services

LONGEST_USER_AGENT = 200


class SignInAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("The email address or password is incorrect."),
        "enter_current_password": _("This isn't your current password."),
        "incorrect_code": _("That's incorrect. Try again."),
        "incorrect_password": _("Incorrect password."),
        "invalid_password_reset": _("This link is no longer valid. Request a new one."),
        "too_many_login_attempts": _(
            "Too many failed attempts. Try again in five minutes, or reset your password."
        ),
        "rate_limited": _("Too many attempts. Try again in a minute."),
        "email_taken": _("A user with this email address already exists."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return registration_policy.is_open_for_sign_up()

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address by which tries are limited and sessions listed: unknown ones share one."""
        return client_address(request) or UNKNOWN_ADDRESS

    def clean_email(self, email: str) -> str:
        return normal_email(email)

    @sensitive_variables("password")
    def clean_password(self, password: str, user: User | None = None) -> str:
        """A new user's is left to `SignUpForm`, which knows their name and company: once is enough
        of what takes time."""
        if user is None or not user._state.adding:
            refuse_weak_password(password, user or User())
        return password  # as typed: it is compared with what is typed once more

    def is_safe_url(self, url: str) -> bool:
        return is_our_path(url)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """A place for the hash is taken first: who is told to come again has used up no try."""
        with password_hashing.place():
            try:
                tries = sign_in_limits.acquire_password(request, credentials["email"])
            except TooManyTries:
                raise self.validation_error("too_many_login_attempts") from None
            user = super().authenticate(request, **credentials)
            if user is not None:
                rate_limits.release(tries)
            return user

    def pre_login(self, request: HttpRequest, user: User, **facts: Any) -> HttpResponse | None:
        """Refuses people for whom single sign-on is forced; called when a sign-in begins."""
        answer: HttpResponse | None = super().pre_login(request, user, **facts)
        answer = answer or _refusal(request, user)
        if answer is None:
            half_sign_ins.begin(request, user)
        return answer

    def login(self, request: HttpRequest, user: User) -> None:
        """Refuses once more: a second factor or the link of a sign-up may come minutes after the
        sign-in began, and a rule, an operator or another password in between."""
        present = User.objects.filter(pk=user.pk, is_active=True).first()
        if present is None:
            clear_login(request)
            raise ImmediateHttpResponse(self.respond_user_inactive(request, user))
        if not half_sign_ins.still_stands(request, present):
            raise ImmediateHttpResponse(_begin_anew(request, user))
        if (refusal := _refusal(request, user)) is not None:
            raise ImmediateHttpResponse(refusal)
        super().login(request, user)

    def get_logout_redirect_url(self, request: HttpRequest) -> str:
        """People who signed in through a provider that offers it are signed out there, too."""
        url: str = super().get_logout_redirect_url(request)
        return sso_hooks.sign_out_path(request) or url

    def is_reauthentication_required(self, *, app: str, **facts: Any) -> bool:
        """As allauth, but who has just signed in with a password is not asked for it again, and
        people without password and second factor, of whom allauth asks nothing, re-authenticate at
        their provider."""
        request = self.request
        if _recently_gave_password(request):
            return False
        if (
            request.user.is_authenticated
            and not get_reauthentication_flows(request.user)
            and sso_hooks.reauthentication_path(request)
            and not recently_reauthenticated(request)
        ):
            raise ReauthenticationRequired
        is_required: bool = super().is_reauthentication_required(app=app, **facts)
        return is_required

    def get_reauthentication_methods(self, user: User) -> list[dict[str, Any]]:
        """Puts the provider first for people who signed in there; without a password if forced."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        again = sso_hooks.reauthentication_path(self.request) if user.is_authenticated else None
        if again is None:
            return methods
        if sso_hooks.is_forced(user):
            methods = [each for each in methods if each["id"] != "reauthenticate"]
        return [{"id": METHOD, "description": "", "url": again}, *methods]

    def set_password(self, user: User, password: str) -> None:
        user_services.set_password(
            user=user, password=password, by=person(user, self.request), at=timezone.now()
        )
        remember_browser(self.request, user)

    def send_confirmation_mail(
        self, request: HttpRequest, emailconfirmation: Any, signup: bool
    ) -> None:
        security_emails.confirm_sign_up(address=emailconfirmation.email_address, at=timezone.now())

    def send_account_already_exists_mail(self, email: str) -> None:
        user = User.objects.filter(email=email).first()
        if user is not None:
            security_emails.address_is_known(user=user, at=timezone.now())

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Mail a security event; allauth names it by a template ("mfa/email/…")."""
        security_emails.send_security_email(
            user=user,
            event=template_prefix.rpartition("/")[2],
            at=timezone.now(),
            client=client_address(self.request) or "",
            browser=user_agent(self.request),
            address=email or "",
        )

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Refuses a mail of a newer allauth that `accounts.sign_in.emails` does not know."""
        raise NotImplementedError(f"There is no e-mail for {template_prefix}.")


@receiver(user_logged_in)
def _keep_former_backend(request: HttpRequest, **_facts: Any) -> None:
    """Let processes of the release before know the session: they list allauth's backend alone. A
    release that is preceded by one with `PasswordBackend` does without."""
    request.session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"


@receiver(user_logged_in)
def _signed_in(user: User, request: HttpRequest, **_facts: Any) -> None:
    session_backend.begin(request.session, at=timezone.now())
    audit.record(
        "sign_in.succeeded",
        by=person(user, request),
        at=timezone.now(),
        subject=user,
        user_agent=user_agent(request),
        **_auth_details(user, request),
    )
    remember_browser(request, user)


@receiver(user_logged_out)
def _signed_out(user: User | None, request: HttpRequest, **_facts: Any) -> None:
    if user is not None:
        audit.record("sign_out", by=person(user, request), at=timezone.now(), subject=user)


@receiver(user_login_failed)
def _refused(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_facts: Any
) -> None:
    """Record a refused sign-in with the user it was tried for, if the address is known."""
    if request is None:
        return
    email = known_email(str(credentials.get("email") or ""))
    subject = User.objects.filter(email=email).first() if email else None
    _record_refusal(subject, request, auth_type="password")


@receiver(authentication_failed)
def _refused_second_factor(
    request: HttpRequest, user: User, authenticator: Authenticator, **_facts: Any
) -> None:
    _record_refusal(user, request, auth_type="password", second_factor=authenticator.type)


def refuse_forced(user: User, request: HttpRequest, **details: Any) -> None:
    """Record a refusal of valid credentials, because single sign-on is forced."""
    _record_refusal(user, request, **{"auth_type": "password", **details}, code="sso_forced")


def _refusal(request: HttpRequest, user: User) -> HttpResponse | None:
    """The page for a user who has to sign in by single sign-on, and is about to do otherwise."""
    details = _auth_details(user, request)
    if details["auth_type"] == METHOD or not sso_hooks.refuses(user):
        return None
    clear_login(request)
    refuse_forced(user, request, **details)
    return render(request, "account/sso_required.html", status=403)


def _begin_anew(request: HttpRequest, user: User) -> HttpResponse:
    """To the sign-in page, from a sign-in that something has ended before it was complete."""
    details = _auth_details(user, request)
    clear_login(request)
    _record_refusal(user, request, **details, code="ended_meanwhile")
    messages.warning(
        request, _("Your sign-in details were changed after you started signing in. Sign in again.")
    )
    return redirect("account_login")


def _record_refusal(subject: User | None, request: HttpRequest, **details: Any) -> None:
    audit.record(
        "sign_in.refused",
        by=person(None, request),
        at=timezone.now(),
        subject=subject,
        user_agent=user_agent(request),
        **details,
    )


@receiver(post_save, sender=Authenticator)
def _added(instance: Authenticator, created: bool, **_facts: Any) -> None:
    """Record a new factor in the transaction that saves it. allauth's own signal,
    `authenticator_added`, is sent after that, when the event could be lost."""
    request = context.request
    if not created or request is None:
        return
    is_renewal = request.resolver_match.view_name == "mfa_generate_recovery_codes"
    kind = "two_factor.codes_renewed" if is_renewal else "two_factor.added"
    _record_factor(kind, request, instance.user, instance)
    if instance.type == Authenticator.Type.TOTP:
        mfa.consume_first_code(instance.user)


@receiver(authenticator_removed)
def _removed(request: HttpRequest, user: User, authenticator: Authenticator, **_facts: Any) -> None:
    half_sign_ins.end_all(user_id=user.pk)
    _record_factor("two_factor.removed", request, user, authenticator)


def _record_factor(
    kind: str, request: HttpRequest, user: User, authenticator: Authenticator
) -> None:
    audit.record(
        kind, by=person(user, request), at=timezone.now(), subject=user, factor=authenticator.type
    )


@receiver(password_reset)
def _reset(request: HttpRequest, user: User, **_facts: Any) -> None:
    """Verify the address: the link came by mail. Strangers' tries count no more."""
    sign_in_limits.forget_passwords(user.email)
    sign_in_services.confirm_address(user=user, by=person(user, request), at=timezone.now())


@receiver(email_confirmed)
def _confirmed(request: HttpRequest, email_address: EmailAddress, **_facts: Any) -> None:
    user = email_address.user
    audit.record("email.confirmed", by=person(user, request), at=timezone.now(), subject=user)


def recently_reauthenticated(request: HttpRequest) -> bool:
    """True if the person has re-authenticated within the last minutes."""
    records = get_authentication_records(request, request.user)
    times = [record["at"] for record in records if record.get("reauthenticated")]
    return bool(times) and time.time() - times[-1] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def _recently_gave_password(request: HttpRequest) -> bool:
    """True if the session began with a password a moment ago, and that still lets the person in."""
    records = get_authentication_records(request, request.user)
    times = [record["at"] for record in records if record["method"] == "password"]
    return (
        isinstance(request.user, User)
        and bool(times)
        and time.time() - times[-1] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        and not sso_hooks.is_forced(request.user)
    )


def other_reauthentication_methods(request: HttpRequest) -> list[dict[str, Any]]:
    """Methods of re-authentication other than the identity provider."""
    assert isinstance(request.user, User)
    methods = SignInAdapter(request).get_reauthentication_methods(request.user)
    return [each for each in methods if each["id"] != METHOD]


def person(user: User | None, request: HttpRequest) -> Actor:
    """The actor of a request of the portal, signed in or about to."""
    return Actor(through=EntryPoint.PORTAL, user=user, address=client_address(request))


def user_agent(request: HttpRequest) -> str:
    """The User-Agent header, printable and of limited length."""
    header = request.headers.get("User-Agent", "")
    printable = "".join(character for character in header if character.isprintable())
    return printable[:LONGEST_USER_AGENT]


def _auth_details(user: User, request: HttpRequest) -> dict[str, Any]:
    """The means of this sign-in, as the audit log and the API name them."""
    records = get_authentication_records(request, user)
    details = {"auth_type": "password"}
    for record in records:
        if record.get("passwordless"):
            details["auth_type"] = "passkey"
        elif record["method"] == METHOD:
            details["auth_type"] = METHOD
        elif record["method"] == "mfa":
            details["second_factor"] = record["type"]
    return details
