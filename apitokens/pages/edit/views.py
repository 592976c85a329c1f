"""The page "Edit API token"."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http.redirects import safe_next
from accounts.http.stale_forms import sent_again_to
from accounts.tenancy.decorators import MemberRequest, member_required
from apitokens.addresses.seen import seen_lately
from apitokens.models import APIToken
from apitokens.pages.creation.drafts import drop_draft, is_anothers, keep_draft, take_draft
from apitokens.pages.creation.forms import word
from apitokens.pages.edit.forms import EditForm
from apitokens.tokens import editing, rotation

NOT_CHANGED = gettext_lazy(
    "You signed in again after this page was opened, so nothing was changed yet. "
    "Check the form and send it again."
)


@keep_draft
@never_cache
@member_required
def edit_again(request: MemberRequest, pk: int) -> HttpResponse:
    """The form as it was sent from a page that is out of date: it changes nothing, and what was
    typed is still there, unless it was typed by another user."""
    token = find_token(request, pk)
    if token.is_deleted or is_anothers(request):
        return HttpResponseRedirect(path_of(token))
    messages.warning(request, NOT_CHANGED)
    return _form_page(request, EditForm(request.POST, token=token), token, status=403)


@sent_again_to(edit_again)
@require_http_methods(["GET", "HEAD", "POST"])
@keep_draft
@never_cache
@member_required
def edit(request: MemberRequest, pk: int) -> HttpResponse:
    """Edit API token: the form, and what follows from it."""
    token = find_token(request, pk)
    back = safe_next(request, fallback=path_of(token))
    if token.is_deleted:
        messages.info(request, _("“%(name)s” had already been deleted.") % {"name": token.name})
        return HttpResponseRedirect(path_of(token))
    if request.method != "POST":
        form = EditForm(token=token, draft=draft_for(request))
        page = _form_page(request, form, token, status=200)
        drop_draft(request, page)
        return page
    if "fill" in request.POST:
        return _form_page(request, _filled_in(request, token), token, status=200)
    form = EditForm(request.POST, token=token)
    if form.is_valid():
        try:
            edited = editing.edit(
                token=token, changes=form.changes, by=request.actor, at=timezone.now()
            )
        except ValidationError as refusal:
            word(refusal, form)
        else:
            messages.success(request, _("“%(name)s” was saved.") % {"name": edited.name})
            for sentence in form.left_out:
                messages.info(request, sentence)
            return HttpResponseRedirect(back)
    return _form_page(request, form, token, status=400)


def _filled_in(request: MemberRequest, token: APIToken) -> EditForm:
    """The form as it was sent, with the addresses that were seen in its list. Nothing is saved."""
    typed = {name: request.POST[name] for name in EditForm.base_fields if name in request.POST}
    seen = seen_lately(token, at=timezone.now())
    if not seen.entries:
        messages.info(request, _("It wasn't used in the last 30 days, so there is nothing to add."))
    else:
        typed["allowed_addresses"] = seen.text
        words = ngettext(
            "%(count)d address was filled in. Check the list, then save it.",
            "%(count)d addresses were filled in. Check the list, then save it.",
            len(seen.entries),
        )
        messages.info(request, words % {"count": len(seen.entries)})
    if seen.more:
        words = ngettext(
            "%(count)d more address was seen. Enter networks to allow it, too.",
            "%(count)d more addresses were seen. Enter networks to allow them, too.",
            seen.more,
        )
        messages.warning(request, words % {"count": seen.more})
    form = EditForm(token=token, draft=typed)
    form.focus("allowed_addresses")
    return form


def draft_for(request: MemberRequest) -> dict[str, str]:
    """What was typed before signing in again; the page says that nothing was changed yet."""
    draft = take_draft(request)
    if draft:
        messages.warning(request, NOT_CHANGED)
    return draft


def _form_page(
    request: MemberRequest, form: EditForm, token: APIToken, *, status: int
) -> HttpResponse:
    if form.is_bound:
        form.focus_first_mistake()
    context = {
        "form": form,
        "token": token,
        "refusal": rotation.refusal(token, at=timezone.now()),
        "next": safe_next(request, fallback=path_of(token)),
    }
    return render(request, "apitokens/edit.html", context, status=status)


def find_token(request: MemberRequest, pk: int) -> APIToken:
    visible = APIToken.objects.visible_to(request.actor).for_display()
    return get_object_or_404(visible, pk=pk)


def path_of(token: APIToken) -> str:
    about = {"account_id": token.account_id, "pk": token.pk}
    return reverse("apitokens:token", kwargs=about)
