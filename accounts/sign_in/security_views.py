"""Views of the page Security: address, second factors, and sessions."""

from typing import NamedTuple

from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http.user_agents import browser_name
from accounts.models import User
from accounts.sign_in import email_change
from accounts.sign_in import services as sign_in_services
from accounts.sign_in.allauth_adapter import person
from accounts.sign_in.forms import EmailForm
from accounts.sign_in.mfa import codes_left
from accounts.throttling import rate_limits

Type = Authenticator.Type


class SessionRow(NamedTuple):
    """A session of the user, with the name of its browser."""

    session: UserSession
    browser: str
    address: str
    """Empty if it is unknown."""
    is_this: bool


@login_required
@require_safe
@never_cache
def overview(request: HttpRequest) -> HttpResponse:
    """The page Security."""
    user = _user(request)
    factors = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    recovery_codes = next((each for each in factors if each.type == Type.RECOVERY_CODES), None)
    context = {
        "app": next((each for each in factors if each.type == Type.TOTP), None),
        "passkeys": [each for each in factors if each.type == Type.WEBAUTHN],
        "codes_left": codes_left(recovery_codes) if recovery_codes else None,
        "browsers": _browsers(request, user),
    }
    return render(request, "accounts/security.html", context)


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out in one other browser."""
    user = _user(request)
    others = UserSession.objects.exclude(session_key=request.session.session_key)
    session = get_object_or_404(others, pk=pk, user=user)
    sign_in_services.end_sessions(sessions=[session], by=person(user, request), at=timezone.now())
    messages.success(request, _("That browser has been signed out."))
    return redirect("mfa_index")


@login_required
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    user = _user(request)
    ended = sign_in_services.end_other_sessions(
        user=user,
        kept=request.session.session_key or "",
        by=person(user, request),
        at=timezone.now(),
    )
    messages.success(
        request,
        ngettext(
            "You have been signed out of %(count)d other browser.",
            "You have been signed out of %(count)d other browsers.",
            ended,
        )
        % {"count": ended},
    )
    return redirect("mfa_index")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@reauthentication_required(allow_get=True)  # type: ignore[untyped-decorator]  # allauth has none
def change_email(request: HttpRequest) -> HttpResponse:
    """Request a change of address. The answer does not reveal whether the address is taken."""
    user = _user(request)
    form = EmailForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _is_requested(request, user, form):
        return render(request, "accounts/email/sent.html", {"email": form.cleaned_data["email"]})
    status = 400 if form.errors else 200
    return render(request, "accounts/email/change.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def confirm_email(request: HttpRequest, signed: str) -> HttpResponse:
    """The link of the mail to the new address. Opening it changes nothing: mail programs do."""
    try:
        change = email_change.read(signed)
    except email_change.BadLink:
        return render(request, "accounts/email/bad_link.html", status=410)
    try:
        refusal = _change(request, change) if request.method == "POST" else None
    except email_change.BadLink:  # the same link, in another window a moment ago
        return render(request, "accounts/email/bad_link.html", status=410)
    if request.method != "POST" or refusal:
        status = 400 if refusal else 200
        return render(
            request,
            "accounts/email/confirm.html",
            {"change": change, "refusal": refusal},
            status=status,
        )
    messages.success(request, _("From now on, sign in with %(email)s.") % {"email": change.email})
    return redirect("mfa_index")


def _is_requested(request: HttpRequest, user: User, form: EmailForm) -> bool:
    """Request the change; False if it is refused, with the reason in the form."""
    try:
        sign_in_services.request_email_change(
            user=user,
            email=form.cleaned_data["email"],
            by=person(user, request),
            at=timezone.now(),
        )
    except ValidationError as refusal:
        form.add_error(None, refusal)
    except rate_limits.TooManyTries:
        form.add_error(None, _("You've requested this too often. Try again in an hour."))
    return not form.errors


def _change(request: HttpRequest, change: email_change.EmailChange) -> str:
    """Change the address. Returns why it could not be changed, or "" if it was. Raises `BadLink` if
    the link has been used meanwhile."""
    user, email = change
    try:
        sign_in_services.change_email(
            user=user, email=email, by=person(user, request), at=timezone.now()
        )
    except sign_in_services.AddressChanged:
        raise email_change.BadLink from None
    except sign_in_services.AddressForced as refusal:
        return " ".join(refusal.messages)
    except ValidationError:
        return _(
            "Another user has taken this address in the meantime. Contact an operator of "
            "the portal."
        )
    return ""


def _browsers(request: HttpRequest, user: User) -> list[SessionRow]:
    """The user's browsers: this one first, then the newest."""
    found = [
        SessionRow(
            session,
            browser_name(session.user_agent),
            sign_in_services.known_address(session),
            session.session_key == request.session.session_key,
        )
        for session in UserSession.objects.purge_and_list(user)
    ]
    return sorted(found, key=lambda each: (not each.is_this, -each.session.created_at.timestamp()))


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
