"""The view of the page Who has access."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.tenancy.decorators import MemberRequest, member_required
from apitokens.pages.access.listing import listing


@require_safe
@never_cache
@member_required
def access(request: MemberRequest) -> HttpResponse:
    """Who has access: people, service accounts and tokens, and why; for Administrators."""
    account_id = request.member.account_id
    if not request.actor.is_administrator_of(account_id):
        raise PermissionDenied(_("Only Administrators can see who has access."))
    context = listing(request.GET, account_id=account_id, at=timezone.now())
    return render(request, "apitokens/access.html", context)
