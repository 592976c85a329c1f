"""The test of a connection: one sign-in that signs nobody in, and what came back from it."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from accounts.authorization.actor import Actor
from accounts.http.client_ip import client_address
from accounts.models import AuditEvent
from accounts.tenancy.decorators import MemberRequest, current_member
from sso.connections import services as connections
from sso.connections.views import administrators_page
from sso.login import services as login
from sso.login.allauth_provider import ConnectionProvider
from sso.login.dry_run import Finding, find
from sso.models import Connection
from sso.saml.errors import Refused, reason
from sso.saml.responses import Assertion

PROCESS = "test"
_FOUND, _BEGAN = "sso_test", "sso_test_began"


@administrators_page("GET", "HEAD", "POST")
def test(request: MemberRequest) -> HttpResponse:
    """To the provider and back. Browsers let no form lead to another site: the button leads to a
    page, and the page leads on."""
    here = connections.connection_of(request.member.account_id)
    if here is None or not here.is_described:
        raise Http404
    if request.method == "POST":
        return render(request, "sso/redirect_to_provider.html", {"way": request.path})
    request.session.pop(_FOUND, None)
    request.session[_BEGAN] = timezone.now().isoformat()
    answer: HttpResponse = ConnectionProvider(request, here).redirect(
        request, PROCESS, account=here.account_id
    )
    return answer


@administrators_page("GET", "HEAD")
def tested(request: MemberRequest) -> HttpResponse:
    """What came back: the words of the provider, or the reason why nothing of it was believed."""
    here = connections.connection_of(request.member.account_id)
    if here is None:
        raise Http404
    facts = request.session.get(_FOUND)
    context: dict[str, Any] = {
        "connection": here,
        "found": Finding(*facts) if facts else None,
        "refusal": "" if facts else _refusal(here, request.session.get(_BEGAN)),
    }
    return render(request, "sso/test.html", context)


def came_back(request: HttpRequest, connection: Connection, assertion: Assertion) -> HttpResponse:
    """Back from the provider, in the browser of the Administrator who tests. Raises `Refused`."""
    login.consume_assertion(
        connection=connection, message_id=assertion.assertion_id, until=assertion.ends_at
    )
    member = current_member(request)
    if member is None or member.account_id != connection.account_id:
        raise Refused("other_person")
    found = find(connection, assertion)
    request.session[_FOUND] = list(found)
    if found.is_well:
        by = Actor.member(member, address=client_address(request))
        _pass(request, connection, assertion, by=by)
    return redirect("sso:tested")


def _pass(request: HttpRequest, connection: Connection, assertion: Assertion, *, by: Actor) -> None:
    is_recorded = connections.record_test(
        connection=connection,
        signs_messages=assertion.message_is_signed,
        by=by,
        at=timezone.now(),
    )
    if is_recorded:
        messages.success(request, _("The test went well."))
    else:
        messages.error(request, _("The provider was changed meanwhile. Test once more."))


def _refusal(connection: Connection, began: str | None) -> str:
    """Why the newest answer since the test began was not believed; "" if none came."""
    since = parse_datetime(began or "")
    if since is None:
        return ""
    newest = (
        AuditEvent.objects.filter(account=connection.account_id, kind="sso.refused", at__gte=since)
        .newest_first()
        .first()
    )
    return reason(newest.details.get("code", "")) if newest else ""
