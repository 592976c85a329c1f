"""Who has come through the provider shows there, once more, that it is still them."""

from datetime import datetime

from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import resume_request
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.authorization.sso_hooks import METHOD
from accounts.http.redirects import safe_next
from accounts.members import suspension
from accounts.sign_in.adapter import (
    other_reauthentication_methods,
    person,
    recently_reauthenticated,
)
from sso.login import services as login
from sso.login import sso_session
from sso.login.allauth_provider import ConnectionProvider, path_to
from sso.models import Connection, Subject
from sso.saml.errors import Refused
from sso.saml.responses import SKEW, Assertion

PROCESS = "again"


@login_required
@require_safe
@never_cache
def again(request: HttpRequest) -> HttpResponse:
    """The question, and the way on for who has answered it. The provider cannot be gone to from
    here directly: browsers let no form lead to another site, and a form may have led here."""
    if recently_reauthenticated(request):
        resumed: HttpResponse | None = resume_request(request)
        return resumed or redirect("home")
    connection = _connection(request)
    wanted = safe_next(request, fallback="/")
    context = {
        "connection": connection,
        "way": path_to("sso:ask_again", wanted),
        "reauthentication_alternatives": other_reauthentication_methods(request),
    }
    return render(request, "sso/reauthenticate.html", context)


@login_required
@require_safe
@never_cache
def ask_again(request: HttpRequest) -> HttpResponse:
    """To the provider, which is to ask the person anew."""
    answer: HttpResponse = ConnectionProvider(request, _connection(request)).redirect(
        request,
        PROCESS,
        next_url=safe_next(request, fallback="/"),
        asked_at=timezone.now().isoformat(),
    )
    return answer


def shown_again(
    request: HttpRequest, connection: Connection, assertion: Assertion, wish: dict[str, str]
) -> HttpResponse:
    """Back from there. Raises `Refused` for somebody else, and if the provider asked nobody."""
    login.take(connection=connection, assertion=assertion)
    subject = Subject.objects.filter(connection=connection, name_id=assertion.name_id).first()
    if subject is None or subject.membership.user_id != request.user.pk:
        raise Refused("other_person")
    if assertion.authenticated_at < datetime.fromisoformat(wish["asked_at"]) - SKEW:
        raise Refused("not_fresh")
    suspension.record_sso_sign_in(
        membership=subject.membership, by=person(request.user, request), at=timezone.now()
    )
    record_authentication(request, request.user, method=METHOD, reauthenticated=True)
    return redirect(path_to("sso:again", wish.get("next", "/")))


def _connection(request: HttpRequest) -> Connection:
    came = sso_session.recall(request.session)
    found = Connection.objects.filter(pk=came.connection_id, is_on=True).first() if came else None
    if found is None:
        raise Http404
    return found
