"""The page "Edit API token"."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http.redirects import safe_next
from accounts.tenancy.decorators import MemberRequest, member_required
from apitokens.models import APIToken
from apitokens.pages.edit.forms import FIELDS, EditForm, ExpirationForm
from apitokens.tokens import editing


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def edit(request: MemberRequest, pk: int) -> HttpResponse:
    """Edit API token: the form, and what follows from it."""
    token = find_token(request, pk)
    back = safe_next(request, fallback=path_of(token))
    if token.is_deleted:
        messages.info(request, _("“%(name)s” was deleted before.") % {"name": token.name})
        return HttpResponseRedirect(path_of(token))
    form = EditForm(request.POST if request.method == "POST" else None, token=token)
    if form.is_valid():
        try:
            edited = editing.edit(
                token=token, changes=form.changes, by=request.actor, at=timezone.now()
            )
        except ValidationError as refusal:
            word(refusal, form)
        else:
            messages.success(request, _("“%(name)s” was saved.") % {"name": edited.name})
            return HttpResponseRedirect(back)
    context = {"form": form, "token": token, "next": back}
    return render(request, "apitokens/edit.html", context, status=400 if form.is_bound else 200)


def find_token(request: MemberRequest, pk: int) -> APIToken:
    visible = APIToken.objects.visible_to(request.actor).for_display()
    return get_object_or_404(visible, pk=pk)


def path_of(token: APIToken) -> str:
    about = {"account_id": token.account_id, "pk": token.pk}
    return reverse("apitokens:token", kwargs=about)


def word(refusal: ValidationError, form: ExpirationForm) -> None:
    """Put the refusal of a service to the fields it names."""
    if not hasattr(refusal, "error_dict"):
        form.add_error(None, refusal)
        return
    for field, errors in refusal.error_dict.items():
        name = FIELDS.get(field, field)
        form.add_error(name if name in form.fields else None, errors)
