"""The page "Look up a token": an Administrator has found one, and wants to know whose it is."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.tenancy.decorators import MemberRequest, member_required
from apitokens.lookup.forms import LookUpForm
from apitokens.lookup.notifications import tell


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
@never_cache
@member_required
def look_up_token(request: MemberRequest) -> HttpResponse:
    """Look up a token. What is found is told on the token's own page: nothing of what was pasted
    stays in this one, in an address or in the browser's history."""
    if not request.member.is_administrator:
        raise PermissionDenied(_("Only Administrators look up tokens."))
    form = LookUpForm(request.POST if request.method == "POST" else None)
    found = form.find(by=request.actor) if form.is_bound else None
    if found is None:
        status = 400 if form.is_bound else 200
        return render(request, "apitokens/look_up.html", {"form": form}, status=status)
    tell(request, found)
    place = {"account_id": found.token.account_id, "pk": found.token.pk}
    return HttpResponseRedirect(reverse("apitokens:token", kwargs=place))
