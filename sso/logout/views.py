"""Single Logout pages: the link to the provider, and the Single Logout Service."""

from django.contrib import messages
from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.sign_in.allauth_adapter import person
from sso.connections.shortcuts import get_configured_connection_or_404
from sso.login import sso_session
from sso.login.refusal_pages import refuse_request
from sso.login.replay_protection import consume_assertion
from sso.logout.messages import parse_logout_message
from sso.logout.services import end_sessions, logout_request_url
from sso.saml.errors import Refused


@require_safe
@never_cache
def sign_out(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the page after signing out, with the link that signs out at the provider. (It is no
    redirect: the policy `form-action` lets no form lead to another site.)"""
    connection = get_configured_connection_or_404(slug)
    signed = request.GET.get("who", "")
    url = logout_request_url(connection, signed, at=timezone.now())
    if url is None:
        return redirect("account_login")
    return render(request, "sso/signed_out.html", {"redirect_url": url})


@require_safe
@never_cache
def sls(request: HttpRequest, slug: str) -> HttpResponse:
    """Single Logout Service: receives the provider's requests, and its responses to ours."""
    connection, at = get_configured_connection_or_404(slug), timezone.now()
    if not connection.slo_url:
        raise Http404
    try:
        logout_request = parse_logout_message(
            connection, request.META.get("QUERY_STRING", ""), at=at
        )
        if logout_request is not None:
            consume_assertion(
                connection=connection,
                message_id=logout_request.message_id,
                until=logout_request.ends_at,
            )
    except Refused as refusal:
        return refuse_request(request, connection, refusal)
    if logout_request is None:
        messages.info(
            request, _("You are signed out, and signed out of your company's sign-in, too.")
        )
        return redirect("account_login")
    began = sso_session.load(request.session)
    if began and began.connection_id == connection.pk and logout_request.concerns(began):
        logout(request)
    end_sessions(connection, logout_request, by=person(None, request), at=at)
    return HttpResponseRedirect(logout_request.response_url)
