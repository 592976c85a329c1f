"""Signing out at the provider too, and being told by it that somebody has."""

from django.contrib import messages
from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.sign_in.adapter import person
from sso.login import sso_session
from sso.login.refusal_pages import described, refused_at_door
from sso.login.services import consume_assertion
from sso.logout.services import end_sessions, parse_logout_message, request_to_sign_out
from sso.saml.errors import Refused


@require_safe
@never_cache
def sign_out(request: HttpRequest, slug: str) -> HttpResponse:
    """The page between: signed out here, and on to the provider. (A form has led here, and browsers
    let none lead to another site.)"""
    connection = described(slug)
    signed = request.GET.get("who", "")
    way = request_to_sign_out(connection, signed, at=timezone.now())
    if way is None:
        return redirect("account_login")
    return render(request, "sso/signed_out.html", {"way": way})


@require_safe
@never_cache
def sls(request: HttpRequest, slug: str) -> HttpResponse:
    """The provider says that somebody has signed out there, or answers that they have."""
    connection, at = described(slug), timezone.now()
    if not connection.slo_url:
        raise Http404
    try:
        said = parse_logout_message(connection, request.META.get("QUERY_STRING", ""), at=at)
        if said is not None:
            consume_assertion(connection=connection, message_id=said.message_id, until=said.ends_at)
    except Refused as refusal:
        return refused_at_door(request, connection, refusal)
    if said is None:
        messages.info(request, _("You are signed out, at your company's sign-in too."))
        return redirect("account_login")
    if said.is_about(sso_session.recall(request.session), connection):
        logout(request)
    end_sessions(connection, said, by=person(None, request), at=at)
    return HttpResponseRedirect(said.answer)
