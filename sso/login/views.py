"""The way to an account's identity provider, and back in."""

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
from accounts.sign_in.adapter import person
from accounts.tenancy.decorators import SESSION_KEY
from sso.login import dry_run_views as dry_run
from sso.login import reauthentication_views as reauthentication
from sso.login import sso_session
from sso.login.allauth_provider import SIGN_IN, ConnectionProvider, wanted_page
from sso.login.pending_assertion import pop_pending_assertion, store_pending_assertion
from sso.login.refusal_pages import described, known, refusal_page, refused_at_door
from sso.login.services import log_in_with_assertion
from sso.models import Connection
from sso.saml.errors import Refused
from sso.saml.python3_saml import our_metadata
from sso.saml.responses import Assertion, read


@require_safe
@never_cache
def begin(request: HttpRequest, slug: str) -> HttpResponse:
    """The direct address: to the provider, and from there back to the page that was asked for."""
    connection = described(slug)
    if not connection.is_on:
        raise Http404
    if isinstance(request.user, User) and not _is_awaited(request.user, connection):
        return redirect(safe_next(request, fallback="/"))
    answer: HttpResponse = ConnectionProvider(request, connection).redirect(
        request, SIGN_IN, next_url=wanted_page(request)
    )
    return answer


def _is_awaited(user: User, connection: Connection) -> bool:
    """True for who is signed in by another way, and whose API tokens wait until they come here."""
    mine = Membership.objects.of(user).filter(account=connection.account_id)
    return mine.filter(tokens_suspended_at__isnull=False).exists()


@csrf_exempt  # the signature of the provider says where it comes from
@require_POST
@never_cache
def acs(request: HttpRequest, slug: str) -> HttpResponse:
    """What the provider has a browser post. Nothing is kept of what it did not sign."""
    connection, at = described(slug), timezone.now()
    try:
        return store_pending_assertion(
            connection, read(connection, request.POST.get("SAMLResponse", ""), at=at)
        )
    except Refused as refusal:
        return refused_at_door(request, connection, refusal)


@require_safe
@never_cache
def finish(request: HttpRequest, slug: str) -> HttpResponse:
    """Back in our own session, where it is known what this browser had asked for."""
    connection = described(slug)
    assertion = pop_pending_assertion(request, connection)
    if assertion is None:
        # Reloaded, or gone back to: nothing was claimed.
        is_in = request.user.is_authenticated
        return redirect("home") if is_in else refusal_page(request, connection)
    try:
        wish = _wish(request, connection, assertion)
        if wish["process"] == reauthentication.PROCESS:
            return reauthentication.shown_again(request, connection, assertion, wish)
        if wish["process"] == dry_run.PROCESS:
            return dry_run.came_back(request, connection, assertion)
    except Refused as refusal:
        return refused_at_door(request, connection, refusal, name_id=assertion.name_id)
    return _sign_in(request, connection, assertion, wish)


@require_safe
def metadata(_request: HttpRequest, slug: str) -> HttpResponse:
    """What the provider has to know of us."""
    return HttpResponse(our_metadata(known(slug)), content_type="application/samlmetadata+xml")


def _wish(request: HttpRequest, connection: Connection, assertion: Assertion) -> dict[str, Any]:
    """What this browser had asked for. Raises `Refused` if it was nothing that this answers."""
    try:
        wish: dict[str, Any] = ConnectionProvider(request, connection).unstash_redirect_state(
            request, assertion.in_response_to
        )
    except PermissionDenied:
        raise Refused("other_request") from None
    return wish


def _sign_in(
    request: HttpRequest, connection: Connection, assertion: Assertion, wish: dict[str, Any]
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
    return _enter(request, connection, assertion, member, wish.get("next"))


def _enter(
    request: HttpRequest,
    connection: Connection,
    assertion: Assertion,
    member: Membership,
    next_url: str | None,
) -> HttpResponse:
    """Sign in the member who has come, in the account whose provider it is."""
    user: User = member.user
    if request.user.is_authenticated and request.user != user:
        logout(request)
    clear_authentication_records(request)
    sso_session.remember(request, connection, assertion)
    request.session[SESSION_KEY] = member.account_id
    record_authentication(request, user, method=METHOD)
    login = Login(
        user=user,
        # The provider has answered for who it is; a mail would ask again.
        email_verification=EmailVerificationMethod.NONE,
        redirect_url=next_url,
        email=user.email,
    )
    answer: HttpResponse = perform_login(request, login)
    return answer
