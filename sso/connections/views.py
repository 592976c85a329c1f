"""Profile → Account → Single sign-on: an account's Administrators say whom they trust."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.tenancy.decorators import MemberRequest, member_required
from accounts.validators import HIGHEST_ID
from sso.connections import domains
from sso.connections import services as connections
from sso.connections.forms import DomainForm, ProviderForm, SettingsForm
from sso.connections.overview import overview
from sso.connections.services import connection_of
from sso.models import Certificate, Connection, Domain

P = ParamSpec("P")
View = Callable[Concatenate[Any, P], HttpResponseBase]


def administrators_page(*methods: str) -> Callable[[View[P]], View[P]]:
    """A page for Administrators who have just shown once more who they are. Everybody else is
    turned away before they are asked for a password."""

    def decorate(view: View[P]) -> View[P]:
        asked = reauthentication_required(view)

        @wraps(view)
        def guarded(
            request: MemberRequest, /, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponseBase:
            if not request.actor.is_administrator_of(request.member.account_id):
                raise PermissionDenied(_("Only Administrators look after single sign-on."))
            answer: HttpResponseBase = asked(request, *args, **kwargs)
            return answer

        return require_http_methods(methods)(never_cache(member_required(guarded)))

    return decorate


@administrators_page("GET", "HEAD")
def connection(request: MemberRequest) -> HttpResponse:
    """Everything about the account's single sign-on, with ways to change it."""
    return _page(request, DomainForm())


@administrators_page("POST")
def set_up(request: MemberRequest) -> HttpResponse:
    """Begin with a connection."""
    connections.set_up(account=request.member.account, by=request.actor, at=timezone.now())
    return redirect("sso:connection")


@administrators_page("GET", "HEAD", "POST")
def provider(request: MemberRequest) -> HttpResponse:
    """Bring the metadata of the provider, or newer ones."""
    here, at = _connection(request), timezone.now()
    form = ProviderForm(
        request.POST if request.method == "POST" else None,
        request.FILES if request.method == "POST" else None,
        has_certificates=here.certificates.good(at).exists(),
        asked_at=at,
        initial={"keep_certificates": True},
    )
    if form.is_valid() and _is_described(request, here, form):
        return redirect("sso:connection")
    context = {"form": form, "connection": here}
    return render(
        request, "sso/provider_metadata.html", context, status=400 if form.errors else 200
    )


@administrators_page("GET", "HEAD", "POST")
def settings(request: MemberRequest) -> HttpResponse:
    """How the provider's words are understood, and what becomes of new people."""
    here = _connection(request)
    form = SettingsForm(request.POST if request.method == "POST" else None, instance=here)
    if form.is_valid() and _is_changed(request, here, form):
        messages.success(request, _("The settings were saved."))
        return redirect("sso:connection")
    context = {"form": form, "connection": here}
    return render(request, "sso/settings.html", context, status=400 if form.errors else 200)


@administrators_page("POST")
def ask_for_domain(request: MemberRequest) -> HttpResponse:
    """Ask the operator for a domain."""
    here, form = _connection(request), DomainForm(request.POST)
    if form.is_valid():
        name, by, at = form.cleaned_data["name"], request.actor, timezone.now()
        try:
            domain = domains.ask(connection=here, name=name, by=by, at=at)
        except ValidationError as refusal:
            form.add_error("name", refusal)
        else:
            messages.success(
                request,
                _("%(domain)s was asked for. It counts once the operator has approved it.")
                % {"domain": domain.name},
            )
            return redirect("sso:connection")
    return _page(request, form, status=400)


@administrators_page("POST")
def withdraw_domain(request: MemberRequest, pk: int) -> HttpResponse:
    """Do without a domain."""
    mine = Domain.objects.filter(connection__account=request.member.account_id)
    domain = get_object_or_404(mine.select_related("connection"), pk=min(pk, HIGHEST_ID))
    return _done(
        request,
        lambda: domains.withdraw(domain=domain, by=request.actor, at=timezone.now()),
        _("%(domain)s was withdrawn.") % {"domain": domain.name},
    )


@administrators_page("POST")
def remove_certificate(request: MemberRequest, pk: int) -> HttpResponse:
    """Believe a certificate no more."""
    mine = Certificate.objects.filter(connection__account=request.member.account_id)
    certificate = get_object_or_404(mine.select_related("connection"), pk=min(pk, HIGHEST_ID))
    return _done(
        request,
        lambda: connections.remove_certificate(
            certificate=certificate, by=request.actor, at=timezone.now()
        ),
        _("The certificate was removed."),
    )


@administrators_page("POST")
def switch_on(request: MemberRequest) -> HttpResponse:
    """Let people sign in by it."""
    return _switch(request, connections.switch_on, _("Single sign-on is switched on."))


@administrators_page("POST")
def switch_off(request: MemberRequest) -> HttpResponse:
    """Let nobody sign in by it."""
    return _switch(request, connections.switch_off, _("Single sign-on is switched off."))


@administrators_page("POST")
def force(request: MemberRequest) -> HttpResponse:
    """Let people of the approved domains sign in by it only."""
    return _switch(
        request,
        connections.force,
        _("Users of the approved domains sign in through the provider only."),
    )


@administrators_page("POST")
def stop_forcing(request: MemberRequest) -> HttpResponse:
    """Let everybody use the ways of signing in that they have."""
    return _switch(
        request, connections.stop_forcing, _("Everybody may use their other ways to sign in again.")
    )


@administrators_page("GET", "HEAD", "POST")
def remove(request: MemberRequest) -> HttpResponse:
    """Forget the provider: the question, and the answer."""
    if request.method == "POST":
        return _switch(request, connections.remove, _("Single sign-on was removed."))
    _connection(request)
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


def _connection(request: MemberRequest) -> Connection:
    found = connection_of(request.member.account_id)
    if found is None:
        raise Http404
    return found


def _switch(request: MemberRequest, verb: Callable[..., object], success: str) -> HttpResponse:
    here = _connection(request)
    return _done(
        request, lambda: verb(connection=here, by=request.actor, at=timezone.now()), success
    )


def _done(request: MemberRequest, act: Callable[[], object], success: str) -> HttpResponse:
    """Do it, and say what came of it on the page of single sign-on."""
    try:
        act()
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, success)
    return redirect("sso:connection")


def _is_described(request: MemberRequest, here: Connection, form: ProviderForm) -> bool:
    """Keep what the metadata say; False if the verb refuses, with its words in the form."""
    was_on = here.is_on
    try:
        now = connections.describe_provider(
            connection=here,
            metadata=form.metadata,
            keep_certificates=form.cleaned_data.get("keep_certificates", False),
            by=request.actor,
            at=timezone.now(),
        )
    except ValidationError as refusal:
        form.add_error(None, refusal)
        return False
    if was_on and not now.is_on:
        messages.warning(
            request,
            _("The provider was changed. Single sign-on is off until you have tested it again."),
        )
    else:
        messages.success(request, _("The metadata of the provider were saved."))
    return True


def _is_changed(request: MemberRequest, here: Connection, form: SettingsForm) -> bool:
    """Keep the settings; False if the verb refuses, with its words at the fields of the form."""
    try:
        connections.change_settings(
            connection=here, **form.cleaned_data, by=request.actor, at=timezone.now()
        )
    except ValidationError as refusal:
        form.add_error(None, refusal)
        return False
    return True
