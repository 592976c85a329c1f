"""What the doors of single sign-on have in common: whose they are, how they turn people away."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.http.client_ip import client_address, network_of
from accounts.sign_in.adapter import person
from accounts.throttling import rate_limits
from sso.login import services as login
from sso.models import Connection
from sso.saml.errors import Refused
from sso.throttling import REFUSALS


def known(slug: str) -> Connection:
    """The connection of an open account."""
    found = Connection.objects.select_related("account").filter(slug=slug).first()
    if found is None or found.account.closed_at is not None:
        raise Http404
    return found


def described(slug: str) -> Connection:
    """One that knows its provider."""
    if not (connection := known(slug)).is_described:
        raise Http404
    return connection


def refusal_page(request: HttpRequest, connection: Connection, status: int = 400) -> HttpResponse:
    """The same words whatever the reason: that is in the account's audit log."""
    context = {"connection": connection}
    return render(request, "sso/sign_in_refused.html", context, status=status)


def refused_at_door(
    request: HttpRequest, connection: Connection, refusal: Refused, *, name_id: str = ""
) -> HttpResponse:
    """Tell nobody why, and keep the reason; but nobody fills the account's audit log."""
    try:
        rate_limits.acquire(REFUSALS, f"{connection.pk} {network_of(client_address(request))}")
    except rate_limits.TooManyTries as too_many:
        answer = refusal_page(request, connection, status=429)
        answer.headers["Retry-After"] = str(too_many.retry_after)
        return answer
    login.refuse(
        connection=connection,
        refusal=refusal,
        by=person(None, request),
        at=timezone.now(),
        name_id=name_id,
    )
    return refusal_page(request, connection)
