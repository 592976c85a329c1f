"""The page "Rotate API token", with the dialog that shows the new secret once; and the question
"End the old secret"."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http.redirects import safe_next
from accounts.http.stale_forms import sent_again_to
from accounts.tenancy.decorators import MemberRequest, member_required
from accounts.validators import parse_id
from apitokens.models import APIToken
from apitokens.pages.creation.confirmations import say_once
from apitokens.pages.creation.drafts import drop_draft, is_anothers, keep_draft
from apitokens.pages.creation.forms import word
from apitokens.pages.detail import token_detail
from apitokens.pages.edit.views import NOT_CHANGED, draft_for, find_token, path_of
from apitokens.pages.reveal import prepare_rotated
from apitokens.pages.rotate.forms import RotateForm
from apitokens.tokens import rotation


@keep_draft
@never_cache
@member_required
def rotate_again(request: MemberRequest, pk: int) -> HttpResponse:
    """The form as it was sent from a page that is out of date: it changes nothing, and what was
    chosen is still there, unless another user has chosen it."""
    token = find_token(request, pk)
    if is_anothers(request):
        return HttpResponseRedirect(path_of(token))
    messages.warning(request, NOT_CHANGED)
    form = RotateForm(request.POST, token=token).again(token)
    return _form_page(request, form, token, status=403)


@sent_again_to(rotate_again)
@require_http_methods(["GET", "HEAD", "POST"])
@keep_draft
@never_cache
@member_required
def rotate(request: MemberRequest, pk: int) -> HttpResponse:
    """Rotate API token: the form, and the dialog with the new secret."""
    token = find_token(request, pk)
    if request.method != "POST":
        form = RotateForm(token=token, initial=draft_for(request))
        page = _form_page(request, form, token, status=200)
        drop_draft(request, page)
        return page
    form = RotateForm(request.POST, token=token)
    if form.is_valid():
        try:
            return _rotate(request, token, form)
        except rotation.AlreadyRotated:
            return render(request, "apitokens/already_rotated.html", {"token": token}, status=409)
        except ValidationError as refusal:
            form = form.again(find_token(request, pk))
            word(refusal, form)
    return _form_page(request, form, token, status=400)


@require_safe
@never_cache
@member_required
def rotated(request: MemberRequest, pk: int) -> HttpResponse:
    """From the dialog to the token's page, which says that it has a new secret."""
    token = find_token(request, pk)
    if token.rotated_at is not None:
        say_once(
            request,
            _("“%(name)s” was rotated.") % {"name": token.name},
            about=f"{token.pk}:rotated:{token.rotations}",
            since=token.rotated_at,
            at=timezone.now(),
        )
    return HttpResponseRedirect(path_of(token))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def end_old_secret(request: MemberRequest, pk: int) -> HttpResponse:
    """End the old secret: the question, and the answer."""
    token, at = find_token(request, pk), timezone.now()
    back = safe_next(request, fallback=path_of(token))
    if request.method == "POST":
        try:
            has_ended = rotation.end_old_secret(
                token=token, by=request.actor, at=at, rotations=_rotations_shown(request)
            )
        except ValidationError as refusal:
            messages.warning(request, refusal.message)
            return HttpResponseRedirect(request.get_full_path())
        if has_ended:
            messages.success(request, _("The old secret no longer works."))
        else:
            messages.info(request, _("The old secret has already ended."))
        return HttpResponseRedirect(back)
    context = token_detail(token, at=at, query={}) | {"next": back, "shown": token.rotations}
    return render(request, "apitokens/end_old_secret.html", context)


def _rotations_shown(request: MemberRequest) -> int | None:
    """How often the token had been rotated when the question was shown."""
    return parse_id(request.POST.get("shown", ""))


def _form_page(
    request: MemberRequest, form: RotateForm, token: APIToken, *, status: int
) -> HttpResponse:
    if form.is_bound:
        form.focus_first_mistake()
    context = {
        "form": form,
        "token": token,
        "refusal": rotation.refusal(token, at=timezone.now()),
        "has_old_secret": token.has_working_old_secret(timezone.now()),
        "next": path_of(token),
        "shown": rotation.snapshot(token),
    }
    return render(request, "apitokens/rotate.html", context, status=status)


@sensitive_variables()
def _rotate(request: MemberRequest, token: APIToken, form: RotateForm) -> HttpResponse:
    """Answer with the new secret, on a page that is ready before it is made."""
    at, grace = timezone.now(), form.cleaned_data["grace"]
    old_ends_at = rotation.old_secret_end(token, grace=grace, at=at, expires_at=form.expires_at)
    reveal = prepare_rotated(request, token=token, old_ends_at=old_ends_at)
    rotated = rotation.rotate(
        token=token,
        by=request.actor,
        at=at,
        grace=grace,
        expires_at=form.expires_at,
        rotations=form.cleaned_data["rotations"],
        shown=request.POST.get("shown"),
        form_key=form.cleaned_data["form_key"],
    )
    return reveal.show(rotated.key)
