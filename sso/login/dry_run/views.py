"""Dry run of a connection (“test” on the page): a login that starts no session."""

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
from accounts.tenancy.decorators import MemberRequest, member_in
from sso.connections import services as connections
from sso.connections.decorators import sso_administrator_required
from sso.connections.shortcuts import get_account_connection_or_404
from sso.login.allauth_provider import ConnectionProvider
from sso.login.dry_run.services import DryRunResult, evaluate_dry_run
from sso.login.replay_protection import consume_assertion
from sso.models import Connection
from sso.saml.errors import Refused, describe_reason
from sso.saml.responses import Assertion

PROCESS = "test"
_SESSION_KEY = "sso_tests"
"""The latest test of each account, by the account's id."""


@sso_administrator_required("GET", "HEAD", "POST")
def start_dry_run(request: MemberRequest) -> HttpResponse:
    """Redirect to the provider. The policy `form-action` lets no form lead to another site, so the
    form (POST) gets a page with a link back here (GET)."""
    here = get_account_connection_or_404(request.member.account_id)
    if not here.has_provider:
        raise Http404
    if request.method == "POST":
        return render(request, "sso/redirect_to_provider.html", {"redirect_url": request.path})
    _store(request, here, {"began": timezone.now().isoformat()})
    answer: HttpResponse = ConnectionProvider(request, here).redirect(
        request, PROCESS, account=here.account_id
    )
    return answer


@sso_administrator_required("GET", "HEAD")
def dry_run_result(request: MemberRequest) -> HttpResponse:
    """Show the result of the dry run, or the reason why the response was refused."""
    here = get_account_connection_or_404(request.member.account_id)
    stored = _stored(request, here)
    facts = stored.get("result")
    context: dict[str, Any] = {
        "connection": here,
        "found": DryRunResult(*facts) if facts else None,
        "refusal": "" if facts else _latest_refusal(here, stored.get("began")),
    }
    return render(request, "sso/test.html", context)


def complete_dry_run(
    request: HttpRequest, connection: Connection, assertion: Assertion
) -> HttpResponse:
    """Finish the dry run in the Administrator's browser. Raises `Refused`."""
    consume_assertion(
        connection=connection, message_id=assertion.assertion_id, until=assertion.ends_at
    )
    member = member_in(request, connection.account_id)
    if member is None:
        raise Refused("other_person")
    result = evaluate_dry_run(connection, assertion)
    _store(request, connection, _stored(request, connection) | {"result": list(result)})
    if result.is_complete:
        by = Actor.member(member, address=client_address(request))
        _record_success(request, connection, assertion, by=by)
    return redirect("sso:tested", account_id=connection.account_id)


def _stored(request: HttpRequest, connection: Connection) -> dict[str, Any]:
    """What is kept of the account's latest test in this browser: `began`, then also `result`."""
    tests = request.session.get(_SESSION_KEY, {})
    found: dict[str, Any] = tests.get(str(connection.account_id), {})
    return found


def _store(request: HttpRequest, connection: Connection, facts: dict[str, Any]) -> None:
    tests = request.session.get(_SESSION_KEY, {})
    request.session[_SESSION_KEY] = {**tests, str(connection.account_id): facts}


def _record_success(
    request: HttpRequest, connection: Connection, assertion: Assertion, *, by: Actor
) -> None:
    is_recorded = connections.record_dry_run(
        connection=connection,
        signs_messages=assertion.message_is_signed,
        by=by,
        at=timezone.now(),
    )
    if is_recorded:
        messages.success(request, _("The test was successful."))
    else:
        messages.error(request, _("The provider was changed in the meantime. Test again."))


def _latest_refusal(connection: Connection, started_at: str | None) -> str:
    """Why the latest response since the dry run began was refused; "" if there was none."""
    since = parse_datetime(started_at or "")
    if since is None:
        return ""
    newest = (
        AuditEvent.objects.filter(account=connection.account_id, kind="sso.refused", at__gte=since)
        .newest_first()
        .first()
    )
    return describe_reason(newest.details.get("code", "")) if newest else ""
