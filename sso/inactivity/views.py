"""Single sign-on → people who stay away: what becomes of their API tokens, and who they are."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.tenancy.decorators import MemberRequest
from sso.connections.services import connection_of
from sso.connections.views import administrators_page
from sso.inactivity import listing
from sso.inactivity import services as inactivity
from sso.inactivity.forms import AbsenceForm
from sso.models import Connection


@administrators_page("GET", "HEAD", "POST")
def absence(request: MemberRequest) -> HttpResponse:
    """The rule, and the people whom it is about."""
    here = connection_of(request.member.account_id)
    if here is None:
        raise Http404
    form = AbsenceForm(
        request.POST if request.method == "POST" else None,
        initial={"action": here.idle_action, "days": here.idle_days},
    )
    if form.is_valid() and _is_chosen(request, here, form):
        messages.success(request, _("The rule was saved."))
        return redirect("sso:absence")
    context = {
        "form": form,
        "connection": here,
        **listing.listing(here, at=timezone.now()),
    }
    return render(request, "sso/inactivity.html", context, status=400 if form.errors else 200)


def _is_chosen(request: MemberRequest, here: Connection, form: AbsenceForm) -> bool:
    """Keep the rule; False if the verb refuses, with its words in the form."""
    by, at = request.actor, timezone.now()
    try:
        inactivity.choose_policy(connection=here, **form.cleaned_data, by=by, at=at)
    except ValidationError as refusal:
        form.add_error(None, ValidationError(refusal.messages))
        return False
    return True
