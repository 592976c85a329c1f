"""The pages that delete several tokens in one confirmed step; others ask in the same way."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http.bounded_query import is_query_cut
from accounts.http.redirects import safe_next
from accounts.tenancy.decorators import MemberRequest, member_required
from accounts.validators import parse_id
from apitokens.filters import NEWEST_FIRST, SOONEST_FIRST, PageFilter
from apitokens.models import APIToken
from apitokens.pages.listing import PAGE_SIZES, listing, sent_query
from apitokens.tokens import services as token_services
from apitokens.tokens.rules import MOST_AT_ONCE, Issuers, read_issuers, with_issuers

LONGEST_NEXT = 500
"""Characters of the list's path to which the question leads back."""

MOST_WITHOUT_PROOF = 10
"""Tokens that an open browser may delete in one step; for more the person signs in again."""


QUESTIONS = {"hand_over": "apitokens:hand_over_selected"}
"""The pages that ask about what can be done beside deleting, by the value of the button."""


@require_POST
@member_required
def select(request: MemberRequest) -> HttpResponse:
    """Lead from the ticked tokens, or from all that match, to the address of the question."""
    sent = sent_query(request.POST)
    back = list_path(request) + sent
    query = QueryDict(sent.removeprefix("?"), mutable=True)
    if not request.POST.get("all"):
        ids = _ids(",".join(request.POST.getlist("token")))[: max(PAGE_SIZES)]
        if not ids:
            messages.info(request, _("Select at least one token."))
            return HttpResponseRedirect(back)
        sort = query.get("sort") or (SOONEST_FIRST if query.get("ids") else NEWEST_FIRST)
        chosen = {"ids": ",".join(map(str, ids)), "sort": sort}
        query = QueryDict(urlencode(chosen), mutable=True)
    if len(back) <= LONGEST_NEXT:  # else it would make the address too long
        query["next"] = back
    question = reverse(
        QUESTIONS.get(request.POST.get("act", ""), "apitokens:delete_selected"),
        kwargs={"account_id": request.member.account_id},
    )
    return HttpResponseRedirect(f"{question}?{query.urlencode(safe=',')}")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def delete_selected(request: MemberRequest) -> HttpResponse:
    """Delete several API tokens: the question, and the answer."""
    at = timezone.now()
    back = safe_next(request, fallback=list_path(request))
    ids = confirmed_tokens(request) if request.method == "POST" else found_tokens(request, at)
    if not ids:
        if not is_query_cut(request):
            messages.info(request, _("No tokens to delete: they are already gone."))
        return HttpResponseRedirect(back)
    view = _delete if request.method == "POST" else _ask
    if len(ids) > MOST_WITHOUT_PROOF:
        view = reauthentication_required(view)
    return view(request, ids=ids, back=back, at=at)


def _ask(request: MemberRequest, *, ids: list[int], back: str, at: datetime) -> HttpResponse:
    shown = ids[:MOST_AT_ONCE]
    found = APIToken.objects.for_display().in_bulk(shown)
    context = behind_dialog(request, at) | {
        "tokens": [found[each] for each in shown if each in found],
        "left_over": len(ids) - len(shown),
        "action": request.get_full_path(),
        "next": back,
        "shown": with_issuers(found[each] for each in shown if each in found),
    }
    return render(request, "apitokens/delete_selected.html", context)


def _delete(request: MemberRequest, *, ids: list[int], back: str, at: datetime) -> HttpResponse:
    try:
        deleted = token_services.delete_selected(
            account=request.member.account,
            token_ids=ids,
            issuers=shown_issuers(request),
            by=request.actor,
            at=at,
        )
    except ValidationError as refusal:
        messages.warning(request, " ".join(refusal.messages))
        return HttpResponseRedirect(request.get_full_path())
    if count := len(deleted):
        words = ngettext(
            "%(count)d API token was deleted.", "%(count)d API tokens were deleted.", count
        )
        messages.success(request, words % {"count": count})
    else:
        messages.info(request, _("No tokens to delete: they are already gone."))
    return HttpResponseRedirect(back)


def found_tokens(request: MemberRequest, at: datetime) -> list[int]:
    """The tokens that the address names or finds, in the order of the list. None if part of the
    address was cut off: what is left could name other tokens."""
    if is_query_cut(request):
        messages.error(
            request,
            _("The address of this page is too long, so nothing was selected. Use fewer filters."),
        )
        return []
    filterset = PageFilter(request.GET, actor=request.actor, at=at)
    if not filterset.is_valid():
        return []
    return list(filterset.qs.undeleted().values_list("pk", flat=True))


def confirmed_tokens(request: MemberRequest) -> list[int]:
    """Those of the tokens that the question has shown which the person may see, also deleted ones:
    the services know what to do about them."""
    shown = list(shown_issuers(request))[:MOST_AT_ONCE]
    seen = APIToken.objects.visible_to(request.actor).filter(pk__in=shown)
    return list(seen.values_list("pk", flat=True))


def shown_issuers(request: MemberRequest) -> Issuers:
    """The tokens that the question has shown, and their issuers as it has shown them."""
    return read_issuers(request.POST.get("shown", ""))


def _ids(text: str) -> list[int]:
    return [number for part in text.split(",") if (number := parse_id(part.strip())) is not None]


def list_path(request: MemberRequest) -> str:
    """The path of the list of tokens, in the account of the page."""
    return reverse("apitokens:list", kwargs={"account_id": request.member.account_id})


def behind_dialog(request: MemberRequest, at: datetime) -> dict[str, Any]:
    """The context of the list behind a question."""
    return listing(QueryDict(), account=request.member.account, actor=request.actor, at=at)
