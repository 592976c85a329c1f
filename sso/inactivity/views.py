"""The page of the inactivity policy: the form, and the members whom it concerns."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.tenancy.decorators import MemberRequest
from sso.connections.decorators import sso_administrator_required
from sso.connections.shortcuts import get_account_connection_or_404
from sso.inactivity import listing
from sso.inactivity import services as inactivity
from sso.inactivity.forms import InactivityPolicyForm
from sso.models import Connection


@sso_administrator_required("GET", "HEAD", "POST", may_read=True)
def inactivity_policy(request: MemberRequest) -> HttpResponse:
    """Show and change the policy."""
    here = get_account_connection_or_404(request.member.account_id)
    form = InactivityPolicyForm(
        request.POST if request.method == "POST" else None,
        initial={"action": here.idle_action, "days": here.idle_days},
    )
    if form.is_valid() and _save_policy(request, here, form):
        messages.success(request, _("The rule was saved."))
        return redirect("sso:absence", account_id=request.member.account_id)
    context = {
        "form": form,
        "connection": here,
        **listing.listing(here, at=timezone.now()),
    }
    return render(request, "sso/inactivity.html", context, status=400 if form.errors else 200)


def _save_policy(request: MemberRequest, here: Connection, form: InactivityPolicyForm) -> bool:
    """Save the policy; False if the service refuses, with its errors in the form."""
    by, at = request.actor, timezone.now()
    try:
        inactivity.choose_policy(connection=here, **form.cleaned_data, by=by, at=at)
    except ValidationError as refusal:
        form.add_error(None, ValidationError(refusal.messages))
        return False
    return True
