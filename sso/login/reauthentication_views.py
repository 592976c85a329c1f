"""Reauthentication at the provider, for users whose session began by SSO."""

from datetime import datetime

from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import resume_request
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.authorization.sso_hooks import METHOD
from accounts.http.redirects import safe_next
from accounts.members import suspension
from accounts.sign_in.allauth_adapter import (
    other_reauthentication_methods,
    person,
    recently_reauthenticated,
)
from sso.login import sso_session
from sso.login.allauth_provider import ConnectionProvider, path_with_next
from sso.login.replay_protection import consume_login_assertion
from sso.models import Connection
from sso.name_ids import find_subject
from sso.saml.errors import Refused
from sso.saml.responses import CLOCK_SKEW, Assertion

PROCESS = "again"


@login_required
@require_safe
@never_cache
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Show the page that links to the provider; once reauthenticated, resume the interrupted
    request.

    A direct redirect would fail where a form has led here: the policy `form-action` lets no form
    lead to another site."""
    if recently_reauthenticated(request):
        resumed: HttpResponse | None = resume_request(request)
        return resumed or redirect("home")
    connection = _session_connection(request)
    context = {
        "connection": connection,
        "path": path_with_next("sso:ask_again", safe_next(request, fallback="/")),
        "reauthentication_alternatives": other_reauthentication_methods(request),
    }
    return render(request, "sso/reauthenticate.html", context)


@login_required
@require_safe
@never_cache
def redirect_to_provider(request: HttpRequest) -> HttpResponse:
    """Redirect to the provider, which has to authenticate the user anew (ForceAuthn)."""
    answer: HttpResponse = ConnectionProvider(request, _session_connection(request)).redirect(
        request,
        PROCESS,
        next_url=safe_next(request, fallback="/"),
        asked_at=timezone.now().isoformat(),
    )
    return answer


def complete_reauthentication(
    request: HttpRequest, connection: Connection, assertion: Assertion, state: dict[str, str]
) -> HttpResponse:
    """Record the reauthentication. Raises `Refused` for another user, and for an AuthnInstant
    before the request: then the provider has authenticated nobody anew."""
    consume_login_assertion(connection=connection, assertion=assertion)
    subject = find_subject(connection, assertion.name_id, assertion.name_id_format)
    if subject is None or subject.membership.user_id != request.user.pk:
        raise Refused("other_person")
    if assertion.authenticated_at < datetime.fromisoformat(state["asked_at"]) - CLOCK_SKEW:
        raise Refused("not_fresh")
    suspension.record_sso_sign_in(
        membership=subject.membership, by=person(request.user, request), at=timezone.now()
    )
    record_authentication(request, request.user, method=METHOD, reauthenticated=True)
    return redirect(path_with_next("sso:again", state.get("next", "/")))


def _session_connection(request: HttpRequest) -> Connection:
    """The connection by which the session began."""
    session = sso_session.load(request.session)
    if session is None:
        raise Http404
    return get_object_or_404(Connection, pk=session.connection_id, is_on=True)
