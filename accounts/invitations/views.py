"""View of an invitation's link. Opening it changes nothing: mail programs open links too."""

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import EmailAddress, Login
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.authorization import sso_hooks
from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.invitations.services import InvitationRefused
from accounts.models import Invitation, Membership, User
from accounts.sign_in.allauth_adapter import person
from accounts.sign_in.forms import FirstPasswordForm
from accounts.tenancy.decorators import SESSION_KEY


@sensitive_post_parameters("password1")
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def invitation(request: HttpRequest, signed: str) -> HttpResponse:
    """Accept an invitation: a new user sets a password, a known one signs in, and another user is
    told that the invitation is not theirs."""
    try:
        found = invitations.find(signed, by=_reader(request), at=timezone.now())
        return _answer(request, found)
    except (InvitationRefused, PermissionDenied) as refusal:
        return _refused(request, refusal)


def _answer(request: HttpRequest, found: Invitation) -> HttpResponse:
    if not found.user.is_active:
        return redirect("account_inactive")
    if isinstance(request.user, User) and request.user != found.user:
        invitations.record_refused_link(
            invitation=found,
            why=invitations.OTHER_PERSON,
            by=_reader(request),
            at=timezone.now(),
        )
        return _page(request, "other_person", found)
    if request.user.is_authenticated:
        return _join(request, found) if request.method == "POST" else _page(request, "join", found)
    if is_known(found):
        return _page(request, "sign_in", found)
    return _join_as_new(request, found)


def _reader(request: HttpRequest) -> Actor:
    """The actor who opens the link, signed in or not."""
    return person(request.user if isinstance(request.user, User) else None, request)


def is_known(found: Invitation) -> bool:
    """True if the invited user can sign in, be it only through the provider of another account.

    A password at an unconfirmed address does not count, because anybody may have set it by signing
    up: the link lets the person set their own. But a link to an address that the user no longer has
    proves nothing.
    """
    user = found.user
    is_confirmed: bool = EmailAddress.objects.filter(
        user=user, email=user.email, verified=True
    ).exists()
    can_authenticate = user.has_usable_password() or sso_hooks.is_forced(user)
    return found.email != user.email or (is_confirmed and can_authenticate)


def _join(request: HttpRequest, found: Invitation) -> HttpResponse:
    member = invitations.accept(
        invitation=found, user=found.user, by=person(found.user, request), at=timezone.now()
    )
    _welcome(request, member)
    return redirect("apitokens:list", account_id=member.account_id)


def _join_as_new(request: HttpRequest, found: Invitation) -> HttpResponse:
    form = FirstPasswordForm(request.POST if request.method == "POST" else None, user=found.user)
    if not form.is_valid():
        return _page(request, "new", found, form=form, status=400 if form.errors else 200)
    try:
        member = invitations.accept(
            invitation=found,
            user=found.user,
            password=form.cleaned_data["password1"],
            time_zone=form.cleaned_data["time_zone"],
            by=person(found.user, request),
            at=timezone.now(),
        )
    except InvitationRefused:
        raise
    except ValidationError as refusal:
        form.add_error("password1", refusal.messages)
        return _page(request, "new", found, form=form, status=400)
    _welcome(request, member)
    login = Login(user=found.user, email=found.user.email)
    answer: HttpResponse = perform_password_login(request, {"email": found.user.email}, login)
    return answer


def _welcome(request: HttpRequest, member: Membership) -> None:
    request.session[SESSION_KEY] = member.account_id
    messages.success(request, _("Welcome to %(account)s.") % {"account": member.account.name})


def _page(
    request: HttpRequest,
    case: str,
    found: Invitation,
    *,
    form: FirstPasswordForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"case": case, "invitation": found, "form": form}
    return render(request, "accounts/invitation.html", context, status=status)


def _refused(request: HttpRequest, refusal: InvitationRefused | PermissionDenied) -> HttpResponse:
    if isinstance(refusal, InvitationRefused):
        message, status = str(refusal.message), 410
    else:
        message, status = str(refusal), 403
    context = {"refusal": message}
    return render(request, "accounts/invitation_refused.html", context, status=status)
