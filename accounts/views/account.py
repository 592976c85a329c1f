"""The account a person works in, and the others they belong to."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.redirects import safe_next
from accounts.requests import SESSION_KEY, memberships_of


@login_required
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Work in another of my accounts."""
    chosen = next(
        (
            member
            for member in memberships_of(request)
            if str(member.account_id) == request.POST.get("account")
        ),
        None,
    )
    if chosen is None:
        messages.error(request, _("You do not belong to that account. Choose one from the list."))
    else:
        request.session[SESSION_KEY] = chosen.account_id
        messages.success(
            request, _("You now work in %(account)s.") % {"account": chosen.account.name}
        )
    return HttpResponseRedirect(safe_next(request, fallback="/"))


@login_required
@require_safe
def open_account(request: HttpRequest, account_id: int) -> HttpResponse:
    """The way in from a mail: go on to a page in the account that the mail was about."""
    if any(member.account_id == account_id for member in memberships_of(request)):
        request.session[SESSION_KEY] = account_id
    else:
        messages.error(request, _("You do not belong to that account any more."))
    return HttpResponseRedirect(safe_next(request, fallback="/"))
