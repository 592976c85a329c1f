"""The pages of API tokens: list, one token, create (with the one-time dialog) and delete."""

import logging
from typing import Any

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import F
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.all_users import listing as all_users
from accounts.http.downloads import csv_download
from accounts.http.redirects import safe_next
from accounts.models import Membership
from accounts.tenancy.decorators import MemberRequest, member_required
from accounts.validators import HIGHEST_ID, parse_id
from apitokens.filters import PageFilter
from apitokens.models import APIToken
from apitokens.pages.csv_export import lines
from apitokens.pages.detail import token_detail
from apitokens.pages.forms import FIELDS, TokenForm, ViewForm
from apitokens.pages.listing import listing, row, sent_query
from apitokens.preferences import services as preferences
from apitokens.tokens import services as token_services
from sso.inactivity.services import policy_of

logger = logging.getLogger(__name__)


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
    context = token_detail(found, at=timezone.now(), page=request.GET.get("page"))
    return render(request, "apitokens/token.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def create(request: MemberRequest) -> HttpResponse:
    """Create API token: the form, and the dialog that shows the token once."""
    sent = request.POST if request.method == "POST" else None
    form = TokenForm(sent, own_role=request.member.held_role)
    if form.is_valid():
        try:
            return _issue(request, form)
        except token_services.AlreadyIssued as already:
            page = "apitokens/already_created.html"
            return render(request, page, {"token": already.token}, status=409)
        except ValidationError as refusal:
            _word(refusal, form)
    context = {
        "form": form,
        "usage": token_services.usage(request.member.account, at=timezone.now()),
        "rule": policy_of(request.member.account_id),
        "time_zone": timezone.get_current_timezone_name(),
    }
    status = 400 if form.is_bound else 200
    return render(request, "apitokens/create.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Delete API token: the question, and the answer."""
    visible = APIToken.objects.visible_to(request.actor).for_display()
    token = get_object_or_404(visible, pk=pk)
    back = safe_next(request, fallback=_list_path(request))
    if request.method == "POST":
        if token_services.delete(token=token, by=request.actor, at=timezone.now()):
            messages.success(request, _("“%(name)s” was deleted.") % {"name": token.name})
        else:
            messages.info(request, _("“%(name)s” had already been deleted.") % {"name": token.name})
        return HttpResponseRedirect(back)
    context = _listing(request, QueryDict()) | {
        "token": token,
        "token_row": row(token, at=timezone.now()),
        "next": back,
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
    """The question, and the answer."""
    back = safe_next(request, fallback=_list_path(request))
    at = timezone.now()
    if request.method == "POST":
        count = token_services.delete_all_of(
            issuer=issuer, only=_shown(request), by=request.actor, at=at
        )
        messages.success(request, _deleted(issuer, count))
        return HttpResponseRedirect(back)
    found = APIToken.objects.active(at).filter(issuer=issuer).for_display()
    tokens = found.order_by(F("last_used_at").desc(nulls_last=True), "pk")
    context = _listing(request, QueryDict(f"issued_by={issuer.user_id}")) | {
        "who": issuer,
        "tokens": tokens,
        "next": back,
        "shown": ",".join(str(token.pk) for token in tokens),
    }
    return render(request, "apitokens/delete_all.html", context)


def _shown(request: MemberRequest) -> set[int] | None:
    """The tokens that the question has named: none that was created since is meant."""
    if "shown" not in request.POST:
        return None
    ids = map(parse_id, request.POST["shown"].split(","))
    return {token_id for token_id in ids if token_id is not None}


def _deleted(issuer: Membership, count: int) -> str:
    words = ngettext(
        "%(count)d API token of %(name)s was deleted.",
        "%(count)d API tokens of %(name)s were deleted.",
        count,
    )
    return words % {"count": count, "name": issuer.user.get_full_name()}


@sensitive_variables()
def _issue(request: MemberRequest, form: TokenForm) -> HttpResponse:
    """Answer with the token itself: it is kept nowhere, so there is no page to redirect to."""
    cleaned = form.cleaned_data
    token, key = token_services.issue(
        by=request.actor,
        issuer=request.member,
        name=cleaned["name"],
        description=cleaned["description"],
        role=cleaned["role"],
        expires_at=form.expires_at,
        form_key=cleaned["form_key"],
        at=timezone.now(),
    )
    plaintext = key.spell("$")
    return _show_once(
        request,
        {
            "issued": {"token": token, "plaintext": plaintext},
            "curl_line": (
                f"curl -H 'Authorization: APIKey {plaintext}' "
                f"'{settings.BASE_URL}/iam/clients/{token.account_id}/tokens'"
            ),
            "list_url": _list_path(request),
        },
    )


@sensitive_variables()
def _show_once(request: MemberRequest, shown: dict[str, Any]) -> HttpResponse:
    """Show what can be shown this once. It stands before the list of tokens; whatever hinders that,
    it stands alone, in a page that asks the database nothing."""
    try:
        context = _listing(request, QueryDict()) | shown
        return render(request, "apitokens/created.html", context)
    except Exception:
        logger.exception("A new API token is shown without the list behind it.")
        return HttpResponse(render_to_string("apitokens/created/alone.html", shown))


def _list(request: MemberRequest) -> HttpResponse:
    context = _listing(request, request.GET)
    status = 200 if context["filterset"].is_valid() else 400
    return render(request, "apitokens/list.html", context, status=status)


def _list_path(request: MemberRequest) -> str:
    return reverse("apitokens:list", kwargs={"account_id": request.member.account_id})


def _listing(request: MemberRequest, query: QueryDict) -> dict[str, Any]:
    return listing(query, account=request.member.account, actor=request.actor, at=timezone.now())


def _word(refusal: ValidationError, form: TokenForm) -> None:
    """Put the refusal of a service to the fields it names."""
    if not hasattr(refusal, "error_dict"):
        form.add_error(None, refusal)
        return
    for field, errors in refusal.error_dict.items():
        name = FIELDS.get(field, field)
        form.add_error(name if name in form.fields else None, errors)
