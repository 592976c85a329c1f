"""The pages of API tokens: list, one token and delete."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import F
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.all_users import listing as all_users
from accounts.http.downloads import csv_download
from accounts.http.redirects import safe_next
from accounts.models import Membership
from accounts.tenancy.decorators import MemberRequest, member_required
from accounts.validators import HIGHEST_ID, parse_id
from apitokens.csv_export import lines
from apitokens.filters import PageFilter
from apitokens.models import APIToken
from apitokens.pages.detail import token_detail
from apitokens.pages.listing import listing, row, sent_query
from apitokens.pages.view_form import ViewForm
from apitokens.preferences import services as preferences
from apitokens.tokens import services as token_services
from apitokens.tokens.rules import read_issuers, with_issuers

MOST_SHOWN = 50
"""Tokens that the question names before all of a person's are deleted."""


@require_safe
@never_cache
@member_required
def list_tokens(request: MemberRequest) -> HttpResponse:
    """API tokens: all that the member may see."""
    return _list(request)


@require_safe
@never_cache
@member_required
def export(request: MemberRequest) -> HttpResponseBase:
    """All pages of the same list as a CSV file."""
    at = timezone.now()
    filterset = PageFilter(request.GET, actor=request.actor, at=at)
    if not filterset.is_valid():
        return _list(request)
    return csv_download(lines(filterset.qs, at=at), name="api-tokens", at=at)


@require_POST
@member_required
def choose_view(request: MemberRequest) -> HttpResponse:
    """Show or hide a column, or change the density, and keep it for the person."""
    form = ViewForm(request.POST)
    if form.is_valid():
        chosen = form.changed(preferences.preferences_of(request.user.pk))
        preferences.choose(by=request.actor, columns=chosen.columns, density=chosen.density)
    else:
        messages.error(request, _("Choose from the columns and views on the page."))
    return HttpResponseRedirect(_list_path(request) + sent_query(request.POST))


@require_safe
@never_cache
@member_required
def token(request: MemberRequest, pk: int) -> HttpResponse:
    """One API token: what it is, how it is used, and what happened to it."""
    visible = APIToken.objects.visible_to(request.actor).for_display()
    found = get_object_or_404(visible, pk=pk)
    context = token_detail(found, at=timezone.now(), query=request.GET)
    context["is_administrator"] = request.member.is_administrator
    return render(request, "apitokens/token.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Delete API token: the question, and the answer."""
    visible = APIToken.objects.visible_to(request.actor).for_display()
    token = get_object_or_404(visible, pk=pk)
    back = safe_next(request, fallback=_list_path(request))
    if request.method == "POST":
        issuers = read_issuers(request.POST.get("shown", ""))
        try:
            is_deleted = token_services.delete(
                token=token, issuers=issuers, by=request.actor, at=timezone.now()
            )
        except ValidationError as refusal:
            messages.warning(request, " ".join(refusal.messages))
            return HttpResponseRedirect(request.get_full_path())
        if is_deleted:
            messages.success(request, _("“%(name)s” was deleted.") % {"name": token.name})
        else:
            messages.info(request, _("“%(name)s” had already been deleted.") % {"name": token.name})
        return HttpResponseRedirect(back)
    context = _listing(request, QueryDict()) | {
        "token": token,
        "token_row": row(token, at=timezone.now()),
        "next": back,
        "cancel": back if "#" in back else f"{back}#token-{token.pk}",
        "shown": with_issuers([token]),
    }
    return render(request, "apitokens/delete.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def delete_all(request: MemberRequest, user_id: int) -> HttpResponse:
    """Delete all API tokens of a person, for who may and has just shown that it is them."""
    visible = all_users.visible_members(request.actor)
    issuer = get_object_or_404(visible, user_id=min(user_id, HIGHEST_ID))
    answer: HttpResponse = _delete_all(request, issuer)
    return answer


@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
def _delete_all(request: MemberRequest, issuer: Membership) -> HttpResponse:
    """The question, and the answer; one that does not say which tokens were shown asks again."""
    back = safe_next(request, fallback=_list_path(request))
    at = timezone.now()
    shown, asked_at = request.POST.get("shown"), _asked_at(request)
    if request.method == "POST" and shown is not None:
        try:
            count = token_services.delete_all_of(
                issuer=issuer, **_meant(shown, asked_at), by=request.actor, at=at
            )
        except ValidationError as refusal:
            messages.warning(request, " ".join(refusal.messages))
        else:
            messages.success(request, _deleted(issuer, count))
            return HttpResponseRedirect(back)
    found = APIToken.objects.active(at).filter(issuer=issuer)
    latest_used = found.order_by(F("last_used_at").desc(nulls_last=True), "pk")
    tokens = list(latest_used.for_display()[:MOST_SHOWN])
    count = found.count()
    context = _listing(request, QueryDict(f"issued_by={issuer.user_id}")) | {
        "who": issuer,
        "tokens": tokens,
        "count": count,
        "left_over": count - len(tokens),
        "next": back,
        # Ids say most exactly which are meant; the moment, and a fingerprint of those there were
        # then, say it of as many as there are.
        "shown": (
            ",".join(str(token.pk) for token in tokens)
            if count == len(tokens)
            else token_services.fingerprint_of(found.filter(created_at__lte=at))
        ),
        "asked_at": at.isoformat() if count > len(tokens) else "",
    }
    status = HTTPStatus.CONFLICT if request.method == "POST" else HTTPStatus.OK
    return render(request, "apitokens/delete_all.html", context, status=status)


def _meant(shown: str, asked_at: datetime | None) -> dict[str, Any]:
    """The tokens that the question was about: none that was created, or came to the person, since
    is meant."""
    if asked_at is not None:
        return {"created_until": asked_at, "shown": shown}
    ids = map(parse_id, shown.split(","))
    return {"only": {token_id for token_id in ids if token_id is not None}}


def _asked_at(request: MemberRequest) -> datetime | None:
    """When the question was asked, if it was about more tokens than it has named."""
    try:
        asked = parse_datetime(request.POST.get("asked_at", ""))
    except ValueError:
        return None
    return asked if asked is not None and is_aware(asked) else None


def _deleted(issuer: Membership, count: int) -> str:
    words = ngettext(
        "%(count)d API token of %(name)s was deleted.",
        "%(count)d API tokens of %(name)s were deleted.",
        count,
    )
    return words % {"count": count, "name": issuer.user.get_full_name()}


def _list(request: MemberRequest) -> HttpResponse:
    context = _listing(request, request.GET)
    status = 200 if context["filterset"].is_valid() else 400
    return render(request, "apitokens/list.html", context, status=status)


def _list_path(request: MemberRequest) -> str:
    return reverse("apitokens:list", kwargs={"account_id": request.member.account_id})


def _listing(request: MemberRequest, query: QueryDict) -> dict[str, Any]:
    return listing(query, account=request.member.account, actor=request.actor, at=timezone.now())
