"""Login by SSO: redirect to the provider, Assertion Consumer Service, and the portal's metadata."""

from typing import Any

from allauth.account.app_settings import EmailVerificationMethod
from allauth.account.internal.flows.login import (
    clear_authentication_records,
    perform_login,
    record_authentication,
)
from allauth.account.models import Login
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts.authorization.sso_hooks import METHOD
from accounts.http.redirects import safe_next
from accounts.models import Membership, User
from accounts.sign_in.allauth_adapter import person
from accounts.tenancy.decorators import SESSION_KEY
from sso.connections.shortcuts import get_configured_connection_or_404, get_connection_or_404
from sso.login import reauthentication_views as reauthentication
from sso.login import sso_session
from sso.login.allauth_provider import LOGIN_PROCESS, ConnectionProvider, requested_next_url
from sso.login.dry_run import views as dry_run
from sso.login.pending_assertion import pop_pending_assertion, store_pending_assertion
from sso.login.refusal_pages import refusal_page, refuse_request
from sso.login.services import log_in_with_assertion
from sso.models import Connection
from sso.saml.errors import Refused
from sso.saml.python3_saml import sp_metadata
from sso.saml.responses import Assertion, verify_response


@require_safe
@never_cache
def begin(request: HttpRequest, slug: str) -> HttpResponse:
    """Redirect to the provider; after the login the next page is shown."""
    connection = get_configured_connection_or_404(slug)
    if not connection.is_on:
        raise Http404
    if isinstance(request.user, User) and not _has_suspended_tokens(request.user, connection):
        return redirect(safe_next(request, fallback="/"))
    answer: HttpResponse = ConnectionProvider(request, connection).redirect(
        request, LOGIN_PROCESS, next_url=requested_next_url(request)
    )
    return answer


def _has_suspended_tokens(user: User, connection: Connection) -> bool:
    """True if the user's API tokens are suspended until they sign in by SSO: then they may do so
    although they are signed in."""
    mine = Membership.objects.of(user).filter(account=connection.account_id)
    return mine.filter(tokens_suspended_at__isnull=False).exists()


@csrf_exempt  # the provider posts it; its signature proves the origin
@require_POST
@never_cache
def acs(request: HttpRequest, slug: str) -> HttpResponse:
    """Assertion Consumer Service: verify the posted response before anything of it is stored."""
    connection, at = get_configured_connection_or_404(slug), timezone.now()
    try:
        return store_pending_assertion(
            connection, verify_response(connection, request.POST.get("SAMLResponse", ""), at=at)
        )
    except Refused as refusal:
        return refuse_request(request, connection, refusal)


@require_safe
@never_cache
def finish(request: HttpRequest, slug: str) -> HttpResponse:
    """Complete what this browser has requested: a login, a dry run or a reauthentication."""
    connection = get_configured_connection_or_404(slug)
    assertion = pop_pending_assertion(request, connection)
    if assertion is None:
        # The page was reloaded, or visited by the back button.
        is_signed_in = request.user.is_authenticated
        return redirect("home") if is_signed_in else refusal_page(request, connection)
    try:
        state = _pop_login_state(request, connection, assertion)
        if state["process"] == reauthentication.PROCESS:
            return reauthentication.complete_reauthentication(request, connection, assertion, state)
        if state["process"] == dry_run.PROCESS:
            return dry_run.complete_dry_run(request, connection, assertion)
    except Refused as refusal:
        return refuse_request(request, connection, refusal, name_id=assertion.name_id)
    return _log_in(request, connection, assertion, state)


@require_safe
def metadata(_request: HttpRequest, slug: str) -> HttpResponse:
    """The portal's metadata, for the provider."""
    return HttpResponse(
        sp_metadata(get_connection_or_404(slug)), content_type="application/samlmetadata+xml"
    )


def _pop_login_state(
    request: HttpRequest, connection: Connection, assertion: Assertion
) -> dict[str, Any]:
    """Pop the state that `begin` has stored for this InResponseTo. Raises `Refused` if this browser
    has not sent that request (login CSRF)."""
    try:
        state: dict[str, Any] = ConnectionProvider(request, connection).unstash_redirect_state(
            request, assertion.in_response_to
        )
    except PermissionDenied:
        raise Refused("other_request") from None
    return state


def _log_in(
    request: HttpRequest, connection: Connection, assertion: Assertion, state: dict[str, Any]
) -> HttpResponse:
    try:
        member = log_in_with_assertion(
            connection=connection,
            assertion=assertion,
            by=person(None, request),
            at=timezone.now(),
        )
    except Refused:
        return refusal_page(request, connection, status=403)
    return _start_session(request, connection, assertion, member, state.get("next"))


def _start_session(
    request: HttpRequest,
    connection: Connection,
    assertion: Assertion,
    member: Membership,
    next_url: str | None,
) -> HttpResponse:
    """Start the member's session, with the connection's account as the current one."""
    user: User = member.user
    if request.user.is_authenticated and request.user != user:
        logout(request)
    clear_authentication_records(request)
    sso_session.store(request, connection, assertion)
    request.session[SESSION_KEY] = member.account_id
    record_authentication(request, user, method=METHOD)
    login = Login(
        user=user,
        # The provider has proved the address.
        email_verification=EmailVerificationMethod.NONE,
        redirect_url=next_url,
        email=user.email,
    )
    answer: HttpResponse = perform_login(request, login)
    return answer
