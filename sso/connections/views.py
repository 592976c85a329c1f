"""Profile → Account → Single sign-on: pages of an account's Administrators."""

from collections.abc import Callable
from functools import partial

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.tenancy.decorators import MemberRequest
from accounts.validators import HIGHEST_ID
from sso.connections import domains
from sso.connections import services as connections
from sso.connections.decorators import sso_administrator_required
from sso.connections.forms import DomainForm, ProviderForm, SettingsForm
from sso.connections.overview import overview
from sso.connections.services import connection_of
from sso.connections.shortcuts import get_account_connection_or_404
from sso.models import Certificate, Connection, Domain


@sso_administrator_required("GET", "HEAD", may_read=True)
def connection(request: MemberRequest) -> HttpResponse:
    """Show the connection."""
    return _page(request, DomainForm())


@sso_administrator_required("POST")
def set_up(request: MemberRequest) -> HttpResponse:
    """Create the connection."""
    connections.set_up(account=request.member.account, by=request.actor, at=timezone.now())
    return redirect("sso:connection", account_id=request.member.account_id)


@sso_administrator_required("GET", "HEAD", "POST")
def provider(request: MemberRequest) -> HttpResponse:
    """Import the provider's metadata."""
    here, at = get_account_connection_or_404(request.member.account_id), timezone.now()
    form = ProviderForm(
        request.POST if request.method == "POST" else None,
        request.FILES if request.method == "POST" else None,
        has_certificates=here.certificates.valid_at(at).exists(),
        asked_at=at,
        initial={"keep_certificates": True},
    )
    if form.is_valid() and _save_provider(request, here, form):
        return redirect("sso:connection", account_id=request.member.account_id)
    context = {"form": form, "connection": here, "shown": connections.snapshot(here)}
    return render(
        request, "sso/provider_metadata.html", context, status=400 if form.errors else 200
    )


@sso_administrator_required("GET", "HEAD", "POST")
def settings(request: MemberRequest) -> HttpResponse:
    """Change attribute mapping and just-in-time provisioning."""
    here = get_account_connection_or_404(request.member.account_id)
    form = SettingsForm(request.POST if request.method == "POST" else None, instance=here)
    if form.is_valid() and _save_settings(request, here, form):
        messages.success(request, _("The settings were saved."))
        return redirect("sso:connection", account_id=request.member.account_id)
    context = {"form": form, "connection": here}
    return render(request, "sso/settings.html", context, status=400 if form.errors else 200)


@sso_administrator_required("POST")
def request_domain(request: MemberRequest) -> HttpResponse:
    """Request a domain."""
    here, form = get_account_connection_or_404(request.member.account_id), DomainForm(request.POST)
    if form.is_valid():
        name, by, at = form.cleaned_data["name"], request.actor, timezone.now()
        try:
            domain = domains.request_approval(connection=here, name=name, by=by, at=at)
        except ValidationError as refusal:
            form.add_error("name", refusal)
        else:
            messages.success(
                request,
                _("%(domain)s was requested. It takes effect once the operator approves it.")
                % {"domain": domain.name},
            )
            return redirect("sso:connection", account_id=request.member.account_id)
    return _page(request, form, status=400)


@sso_administrator_required("POST")
def withdraw_domain(request: MemberRequest, pk: int) -> HttpResponse:
    """Withdraw a domain."""
    mine = Domain.objects.filter(connection__account=request.member.account_id)
    domain = get_object_or_404(mine.select_related("connection"), pk=min(pk, HIGHEST_ID))
    return _run_and_redirect(
        request,
        lambda: domains.withdraw(
            domain=domain, shown=request.POST.get("shown"), by=request.actor, at=timezone.now()
        ),
        _("%(domain)s was withdrawn.") % {"domain": domain.name},
    )


@sso_administrator_required("POST")
def remove_certificate(request: MemberRequest, pk: int) -> HttpResponse:
    """Remove a certificate."""
    mine = Certificate.objects.filter(connection__account=request.member.account_id)
    certificate = get_object_or_404(mine.select_related("connection"), pk=min(pk, HIGHEST_ID))
    return _run_and_redirect(
        request,
        lambda: connections.remove_certificate(
            certificate=certificate, by=request.actor, at=timezone.now()
        ),
        _("The certificate was removed."),
    )


@sso_administrator_required("POST")
def switch_on(request: MemberRequest) -> HttpResponse:
    """Switch the connection on."""
    return _apply(
        request, _as_shown(request, connections.switch_on), _("Single sign-on is turned on.")
    )


@sso_administrator_required("POST")
def switch_off(request: MemberRequest) -> HttpResponse:
    """Switch the connection off."""
    return _apply(request, connections.switch_off, _("Single sign-on is turned off."))


@sso_administrator_required("POST")
def force(request: MemberRequest) -> HttpResponse:
    """Force SSO for the approved domains."""
    return _apply(
        request,
        _as_shown(request, connections.force),
        _("Users in the approved domains can now sign in only through the provider."),
    )


@sso_administrator_required("POST")
def stop_forcing(request: MemberRequest) -> HttpResponse:
    """Stop forcing SSO."""
    return _apply(
        request, connections.stop_forcing, _("Everyone can use their other sign-in methods again.")
    )


@sso_administrator_required("GET", "HEAD", "POST")
def remove(request: MemberRequest) -> HttpResponse:
    """Confirm and remove the connection."""
    if request.method == "POST":
        service = _as_shown(request, connections.remove)
        return _apply(request, service, _("Single sign-on was removed."))
    get_account_connection_or_404(request.member.account_id)
    return _page(request, DomainForm(), template="sso/remove_connection.html")


def _page(
    request: MemberRequest,
    form: DomainForm,
    *,
    status: int = 200,
    template: str = "sso/connection.html",
) -> HttpResponse:
    here = connection_of(request.member.account_id)
    context = {**overview(here, by=request.actor, at=timezone.now()), "form": form}
    return render(request, template, context, status=status)


def _as_shown(request: MemberRequest, service: Callable[..., object]) -> Callable[..., object]:
    """The service, for the connection as the page has shown it."""
    return partial(service, shown=request.POST.get("shown"))


def _apply(request: MemberRequest, service: Callable[..., object], success: str) -> HttpResponse:
    here = get_account_connection_or_404(request.member.account_id)
    return _run_and_redirect(
        request, lambda: service(connection=here, by=request.actor, at=timezone.now()), success
    )


def _run_and_redirect(
    request: MemberRequest, action: Callable[[], object], success: str
) -> HttpResponse:
    """Run a service and redirect to the single sign-on page with the outcome as a message."""
    try:
        action()
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, success)
    return redirect("sso:connection", account_id=request.member.account_id)


def _save_provider(request: MemberRequest, here: Connection, form: ProviderForm) -> bool:
    """Save the metadata; False if the service refuses, with its errors in the form."""
    was_on = here.is_on
    try:
        now = connections.set_provider(
            connection=here,
            metadata=form.metadata,
            keep_certificates=form.cleaned_data.get("keep_certificates", False),
            shown=request.POST.get("shown"),
            by=request.actor,
            at=timezone.now(),
        )
    except ValidationError as refusal:
        form.add_error(None, refusal)
        return False
    if was_on and not now.is_on:
        messages.warning(
            request,
            _("The provider was changed. Single sign-on is off until you test it again."),
        )
    else:
        messages.success(request, _("The provider's metadata was saved."))
    return True


def _save_settings(request: MemberRequest, here: Connection, form: SettingsForm) -> bool:
    """Save the settings; False if the service refuses, with its errors in the form."""
    try:
        connections.change_settings(
            connection=here, **form.cleaned_data, by=request.actor, at=timezone.now()
        )
    except ValidationError as refusal:
        form.add_error(None, refusal)
        return False
    return True
