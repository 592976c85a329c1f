"""The pages of a new API token: its form, the dialog that shows it once, and what follows."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http.stale_forms import sent_again_to
from accounts.models import Membership
from accounts.service_accounts.issuing import visible_to
from accounts.tenancy.decorators import MemberRequest, member_required
from accounts.validators import parse_id
from apitokens.models import APIToken
from apitokens.pages.creation.confirmations import say_once
from apitokens.pages.creation.drafts import drop_draft, is_anothers, keep_draft, take_draft
from apitokens.pages.creation.forms import TokenForm, initial_from, word
from apitokens.pages.reveal import prepare
from apitokens.tokens import services as token_services
from sso.inactivity.services import policy_of

HTML, JSON = "text/html", "application/json"
LIKE = "like"
"""In the address: the id of the token to which the new one is similar."""
NOT_CREATED = gettext_lazy(
    "You signed in again after this page was opened, so nothing was created yet. "
    "Check the form and choose Create again."
)


@keep_draft
@never_cache
@member_required
def create_again(request: MemberRequest) -> HttpResponse:
    """The form as it was sent from a page that is out of date: it creates nothing, and what was
    typed is still there, unless it was typed by another user."""
    if is_anothers(request):
        return _empty_form(request)
    issuer = _issuer(request, request.POST.get("issuer"))
    form = _form(request, issuer)
    messages.warning(request, NOT_CREATED)
    return _form_page(request, form, issuer, status=403)


@sent_again_to(create_again)
@require_http_methods(["GET", "HEAD", "POST"])
@keep_draft
@never_cache
@member_required
def create(request: MemberRequest) -> HttpResponse:
    """Create API token: the form, and the dialog that shows the token once."""
    if request.method != "POST":
        return _empty_form(request)
    issuer = _issuer(request, request.POST.get("issuer"))
    form = _form(request, issuer)
    if form.is_valid():
        try:
            return _issue(request, form, issuer)
        except token_services.AlreadyIssued as already:
            page = "apitokens/already_created.html"
            return render(request, page, {"token": already.token}, status=409)
        except ValidationError as refusal:
            word(refusal, form)
    return _form_page(request, form, issuer, status=400)


@require_safe
@never_cache
@member_required
def created(request: MemberRequest, pk: int) -> HttpResponse:
    """From the dialog to the list, which says what was created and begins at its row."""
    own = APIToken.objects.visible_to(request.actor).filter(issuer__in=_issuers(request))
    token = get_object_or_404(own, pk=pk)
    say_once(
        request,
        _("“%(name)s” was created.") % {"name": token.name},
        about=f"{token.pk}:created",
        since=token.created_at,
        at=timezone.now(),
    )
    path = reverse("apitokens:list", kwargs={"account_id": token.account_id})
    return HttpResponseRedirect(f"{path}#token-{token.pk}")


@require_safe
@never_cache
@member_required
def first_request(request: MemberRequest, pk: int) -> HttpResponse:
    """Whether the new token was used yet: a page, and for the dialog the same in JSON."""
    token = get_object_or_404(APIToken.objects.visible_to(request.actor), pk=pk)
    words = _first_request(token)
    if request.get_preferred_type([HTML, JSON]) == JSON:
        return JsonResponse({"received": token.last_used_at is not None, "words": words})
    return render(request, "apitokens/first_request.html", {"token": token, "words": words})


@sensitive_variables()
def _issue(request: MemberRequest, form: TokenForm, issuer: Membership) -> HttpResponse:
    """Answer with the token itself: it is kept nowhere, so there is no page to redirect to. The
    answer is ready before the token is, so that nothing hinders it afterwards."""
    cleaned = form.cleaned_data
    scopes = form.wanted_scopes
    reveal = prepare(request, name=cleaned["name"], role=cleaned["role"], scopes=scopes)
    issued = token_services.issue(
        by=request.actor,
        issuer=issuer,
        name=cleaned["name"],
        description=cleaned["description"],
        role=cleaned["role"],
        expires_at=form.expires_at,
        scopes=scopes,
        form_key=cleaned["form_key"],
        allowed_addresses=cleaned["allowed_addresses"],
        at=timezone.now(),
    )
    return reveal.show(issued.key)


def _form(request: MemberRequest, issuer: Membership) -> TokenForm:
    """The form as it was sent. What it began with tells ticks that nobody made."""
    try:
        similar = _similar(request)
    except Http404:
        similar = None
    initial = initial_from(similar, own_role=issuer.held_role) if similar else None
    return TokenForm(
        request.POST, initial=initial, own_role=issuer.held_role, account_id=issuer.account_id
    )


def _empty_form(request: MemberRequest) -> HttpResponse:
    """The form, but for what was typed before signing in again, or what a similar token has."""
    draft = take_draft(request)
    if draft:
        messages.warning(request, NOT_CREATED)
    similar = None if draft else _similar(request)
    asked = draft.get("issuer") or request.GET.get("for")
    try:
        issuer = _issuer(request, asked) if asked or not similar else _issuer_of(similar, request)
    except Http404:
        if not draft:
            raise
        issuer = request.member  # what was typed is worth more than the one it was typed for
    initial = initial_from(similar, own_role=issuer.held_role) if similar else draft
    form = TokenForm(initial=initial, own_role=issuer.held_role, account_id=issuer.account_id)
    page = _form_page(request, form, issuer, status=200)
    drop_draft(request, page)
    return page


def _issuer(request: MemberRequest, user_id: str | None) -> Membership:
    """The one in whose name the token is issued: the member, or a service account for which they
    may. Raises 404 for any other."""
    if not user_id or user_id == str(request.member.user_id):
        return request.member
    chosen = visible_to(request.actor).filter(membership__user=parse_id(user_id) or 0)
    return get_object_or_404(chosen).membership


def _similar(request: MemberRequest) -> APIToken | None:
    """The token from which the form is filled in, whatever became of it. Raises 404 for one that
    the member may not see."""
    if LIKE not in request.GET:
        return None
    visible = APIToken.objects.visible_to(request.actor)
    return get_object_or_404(visible, pk=parse_id(request.GET[LIKE]) or 0)


def _issuer_of(token: APIToken, request: MemberRequest) -> Membership:
    """The token's own issuer if that is a service account that may have more, else the member."""
    issuers = visible_to(request.actor).filter(membership=token.issuer_id)
    return next((each.membership for each in issuers if each.is_on), request.member)


def _issuers(request: MemberRequest) -> list[int]:
    services = visible_to(request.actor).values_list("pk", flat=True)
    return [request.member.pk, *services]


def _form_page(
    request: MemberRequest, form: TokenForm, issuer: Membership, *, status: int
) -> HttpResponse:
    if form.is_bound:
        form.focus_first_mistake()
    context = {
        "form": form,
        "issuer": issuer,
        "like": parse_id(request.GET.get(LIKE, "")),
        "service_accounts": visible_to(request.actor),
        "usage": token_services.usage(request.member.account, at=timezone.now()),
        "rule": policy_of(request.member.account_id),
        "time_zone": timezone.get_current_timezone_name(),
    }
    return render(request, "apitokens/create.html", context, status=status)


def _first_request(token: APIToken) -> str:
    if token.last_used_at is None:
        return _("Waiting for the first request…")
    first = token.addresses.order_by("first_seen_at", "pk").first()
    if first is None:
        return _("First request received.")
    return _("First request received, from %(address)s") % {"address": first.address}
