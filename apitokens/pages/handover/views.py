"""The page that hands one or several tokens over to another issuer, in one confirmed step."""

from datetime import datetime

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http.redirects import safe_next
from accounts.tenancy.decorators import MemberRequest, member_required
from apitokens.models import APIToken
from apitokens.pages.handover.forms import HandoverForm
from apitokens.pages.selection.views import (
    MOST_WITHOUT_PROOF,
    behind_dialog,
    confirmed_tokens,
    found_tokens,
    list_path,
    shown_issuers,
)
from apitokens.tokens.handover import hand_over
from apitokens.tokens.rules import MOST_AT_ONCE, with_issuers


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def hand_over_selected(request: MemberRequest) -> HttpResponse:
    """Hand API tokens over: the question, and the answer."""
    if not request.actor.is_administrator_of(request.member.account_id):
        raise PermissionDenied(_("Only Administrators can hand over API tokens."))
    at = timezone.now()
    back = safe_next(request, fallback=list_path(request))
    ids = confirmed_tokens(request) if request.method == "POST" else found_tokens(request, at)
    tokens = list(APIToken.objects.active(at).filter(pk__in=ids[:MOST_AT_ONCE]).for_display())
    if not tokens:
        messages.info(request, _("No tokens to hand over: they have ended."))
        return HttpResponseRedirect(back)
    view = _answer
    if len(ids) > MOST_WITHOUT_PROOF:
        view = reauthentication_required(view)
    return view(request, tokens=tokens, left_over=len(ids) - len(tokens), back=back, at=at)


def _answer(
    request: MemberRequest, *, tokens: list[APIToken], left_over: int, back: str, at: datetime
) -> HttpResponse:
    strongest = min((token.held_role for token in tokens), key=lambda role: role.rank)
    sent = request.POST if request.method == "POST" else None
    form = HandoverForm(sent, account_id=request.member.account_id, role=strongest)
    if form.is_valid() and _is_done(request, form, tokens, at):
        return HttpResponseRedirect(back)
    context = behind_dialog(request, at) | {
        "form": form,
        "tokens": tokens,
        "left_over": left_over,
        "role": strongest,
        "action": request.get_full_path(),
        "next": back,
        "shown": with_issuers(tokens),
    }
    status = 400 if form.errors else 200
    return render(request, "apitokens/hand_over.html", context, status=status)


def _is_done(
    request: MemberRequest, form: HandoverForm, tokens: list[APIToken], at: datetime
) -> bool:
    """Hand them over; False if the service refuses, with its sentence in the form."""
    receiver = form.cleaned_data["to"]
    try:
        handed = hand_over(
            account=request.member.account,
            token_ids=[token.pk for token in tokens],
            to=receiver,
            issuers=shown_issuers(request),
            by=request.actor,
            at=at,
        )
    except ValidationError as refusal:
        form.add_error("to", refusal)
        return False
    words = ngettext(
        "%(count)d API token was handed over to %(name)s.",
        "%(count)d API tokens were handed over to %(name)s.",
        len(handed),
    )
    facts = {"count": len(handed), "name": receiver.user.get_full_name()}
    messages.success(request, words % facts)
    return True
