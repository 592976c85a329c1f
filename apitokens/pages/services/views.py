"""Views of the page Services: list, register, edit, remove; for Administrators."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.tenancy.decorators import MemberRequest, member_required
from apitokens.models import Service
from apitokens.pages.creation.forms import word
from apitokens.pages.services.forms import ScopeForms, ServiceForm, rows_of
from apitokens.scopes import services
from apitokens.scopes.rules import offers
from apitokens.scopes.services import InUse


@require_safe
@never_cache
@member_required
def list_services(request: MemberRequest) -> HttpResponse:
    """Services: those of the account, and those that it cannot change."""
    _administrators_only(request)
    return render(request, "apitokens/services.html", _listing(request))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def register(request: MemberRequest) -> HttpResponse:
    """Register a service."""
    _administrators_only(request)
    form, rows = _forms(request, None)
    if _are_valid(form, rows):
        try:
            service = services.register(
                account=request.member.account,
                code=form.cleaned_data["code"],
                name=form.cleaned_data["name"],
                names=form.names,
                scopes=rows.facts,
                by=request.actor,
                at=timezone.now(),
            )
        except ValidationError as refusal:
            word(refusal, form)
        else:
            messages.success(request, _("“%(name)s” was registered.") % {"name": service.label})
            return _to_list(request)
    return _form_page(request, {"form": form, "rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def edit(request: MemberRequest, pk: int) -> HttpResponse:
    """Edit a service and its scopes."""
    _administrators_only(request)
    service, in_use, shown = _find(request, pk), [], request.POST.get("shown")
    form, rows = _forms(request, service)
    if _are_valid(form, rows):
        try:
            services.edit(
                service=service,
                name=form.cleaned_data["name"],
                names=form.names,
                scopes=rows.facts,
                shown=shown,
                by=request.actor,
                at=timezone.now(),
            )
        except ValidationError as refusal:
            in_use, shown = refusal.token_ids if isinstance(refusal, InUse) else [], None
            word(refusal, form)
        else:
            messages.success(request, _("Your changes were saved."))
            return _to_list(request)
    context = {
        "form": form,
        "rows": rows,
        "service": service,
        "shown": shown or services.snapshot(service.scopes.all()),
        "in_use": _ids(in_use),
    }
    return _form_page(request, context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def remove(request: MemberRequest, pk: int) -> HttpResponse:
    """Remove a service, after a confirmation."""
    _administrators_only(request)
    service, refusal, in_use = _find(request, pk), "", list[int]()
    if request.method == "POST":
        try:
            services.remove(
                service=service,
                shown=request.POST.get("shown"),
                by=request.actor,
                at=timezone.now(),
            )
        except ValidationError as refused:
            refusal = " ".join(refused.messages)
            in_use = refused.token_ids if isinstance(refused, InUse) else []
        else:
            messages.success(request, _("“%(name)s” was removed.") % {"name": service.label})
            return _to_list(request)
    context = _listing(request) | {
        "service": service,
        "shown": services.snapshot(service.scopes.all()),
        "refusal": refusal,
        "in_use": _ids(in_use),
    }
    status = 400 if refusal else 200
    return render(request, "apitokens/services/remove.html", context, status=status)


def _administrators_only(request: MemberRequest) -> None:
    if not request.actor.is_administrator_of(request.member.account_id):
        raise PermissionDenied(_("Only Administrators can manage services."))


def _listing(request: MemberRequest) -> dict[str, Any]:
    account_id = request.member.account_id
    own = list(Service.objects.of(account_id))
    codes = {service.code for service in own}
    given = [offer for offer in offers(account_id) if offer.code not in codes]
    return {"services": own, "given": given}


def _find(request: MemberRequest, pk: int) -> Service:
    return get_object_or_404(Service.objects.of(request.member.account_id), pk=pk)


def _forms(request: MemberRequest, service: Service | None) -> tuple[ServiceForm, Any]:
    sent = request.POST if request.method == "POST" else None
    rows = ScopeForms(sent, prefix="scopes", initial=rows_of(service))
    return ServiceForm(sent, service=service), rows


def _are_valid(form: ServiceForm, rows: Any) -> bool:
    """Look at both, so that all mistakes are told together."""
    if not form.is_bound:
        return False
    is_good = form.is_valid()
    if not rows.is_valid():
        form.add_error(None, _("Some scopes are not complete: see below."))
        return False
    return is_good


def _form_page(request: MemberRequest, context: dict[str, Any]) -> HttpResponse:
    status = 400 if context["form"].errors else 200
    return render(request, "apitokens/services/form.html", context, status=status)


def _ids(token_ids: list[int]) -> str:
    return ",".join(map(str, token_ids))


def _to_list(request: MemberRequest) -> HttpResponse:
    return redirect("apitokens:services", account_id=request.member.account_id)
