"""Views of the audit log: the page and the file."""

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.audit.csv_export import lines
from accounts.audit.listing import AuditFilter, listing
from accounts.http.downloads import csv_download
from accounts.tenancy.decorators import MemberRequest, member_required


@require_safe
@never_cache
@member_required
def audit_log(request: MemberRequest) -> HttpResponse:
    """The page of the audit log."""
    return _page(request)


@require_safe
@never_cache
@member_required
def download(request: MemberRequest) -> HttpResponseBase:
    """All pages of the same events as a CSV file."""
    form = AuditFilter(request.GET, actor=request.actor)
    if not form.is_valid():
        return _page(request)
    return csv_download(lines(form.events()), name="audit-log", at=timezone.now())


def _page(request: MemberRequest) -> HttpResponse:
    context = listing(request.GET, actor=request.actor)
    status = 200 if context["form"].is_valid() else 400
    return render(request, "accounts/audit_log.html", context, status=status)
