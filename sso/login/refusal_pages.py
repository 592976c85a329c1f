"""Refusals of SAML messages: the page, the audit event and the rate limit."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.http.client_ip import client_address, network_of
from accounts.sign_in.allauth_adapter import person
from accounts.throttling import rate_limits
from sso.login import services as login
from sso.models import Connection
from sso.saml.errors import Refused
from sso.throttling import REFUSALS


def refusal_page(request: HttpRequest, connection: Connection, status: int = 400) -> HttpResponse:
    """The same page for every reason. The reason is in the account's audit log."""
    context = {"connection": connection}
    return render(request, "sso/sign_in_refused.html", context, status=status)


def refuse_request(
    request: HttpRequest, connection: Connection, refusal: Refused, *, name_id: str = ""
) -> HttpResponse:
    """Refuse a request and audit the reason, as often as the rate limit allows: strangers must not
    fill the account's audit log."""
    try:
        rate_limits.acquire(REFUSALS, f"{connection.pk} {network_of(client_address(request))}")
    except rate_limits.TooManyTries as too_many:
        answer = refusal_page(request, connection, status=429)
        answer.headers["Retry-After"] = str(too_many.retry_after)
        return answer
    login.record_refusal(
        connection=connection,
        refusal=refusal,
        by=person(None, request),
        at=timezone.now(),
        name_id=name_id,
    )
    return refusal_page(request, connection)
