"""Views of the page Service accounts: list, make, edit, switch off and on, remove."""

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.all_users.service_accounts.forms import ServiceAccountForm, as_it_is
from accounts.all_users.service_accounts.listing import listing
from accounts.all_users.views import administrators_only
from accounts.authorization import token_hooks
from accounts.members import services as members
from accounts.members.forms import RemovalForm
from accounts.models import ServiceAccount
from accounts.roles import Role
from accounts.service_accounts import contacts, services
from accounts.service_accounts.issuing import visible_to
from accounts.tenancy.decorators import MemberRequest, member_required
from accounts.validators import HIGHEST_ID


@require_safe
@never_cache
@member_required
@administrators_only
def list_all(request: MemberRequest) -> HttpResponse:
    """Service accounts: all of the account."""
    context = listing(request.actor, at=timezone.now())
    return render(request, "accounts/service_accounts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@administrators_only
def new(request: MemberRequest) -> HttpResponse:
    """Make a service account."""
    form = _form(request, {"role": Role.USERS})
    if form.is_complete() and _is_made(request, form):
        messages.success(
            request, _("“%(name)s” was created.") % {"name": form.cleaned_data["name"]}
        )
        return _to_list(request)
    status = 400 if form.errors else 200
    return render(request, "accounts/service_accounts/form.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@administrators_only
def edit(request: MemberRequest, user_id: int) -> HttpResponse:
    """Edit a service account."""
    found = _find(request, user_id)
    form = _form(request, as_it_is(found), found)
    if form.is_complete() and _is_edited(request, found, form):
        messages.success(request, _("Your changes were saved."))
        return _to_list(request)
    context = {"form": form, "service_account": found}
    status = 400 if form.errors else 200
    return render(request, "accounts/service_accounts/form.html", context, status=status)


@require_POST
@member_required
@administrators_only
def switch(request: MemberRequest, user_id: int) -> HttpResponse:
    """Switch a service account off, or on again."""
    found = _find(request, user_id)
    is_on = request.POST.get("is_on") == "1"
    services.switch(service_account=found, is_on=is_on, by=request.actor, at=timezone.now())
    words = (
        _("“%(name)s” is turned on. Its API tokens work again.")
        if is_on
        else _("“%(name)s” is turned off. Its API tokens don't work until it is turned on again.")
    )
    messages.success(request, words % {"name": found.name})
    return _to_list(request)


@require_POST
@member_required
@administrators_only
def ask_again(request: MemberRequest, user_id: int) -> HttpResponse:
    """Send the contact address of a service account its question once more."""
    try:
        email = contacts.ask_again(
            service_account=_find(request, user_id),
            shown=request.POST.get("shown"),
            by=request.actor,
            at=timezone.now(),
        )
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, _asked(email))
    return _to_list(request)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@administrators_only
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
def remove(request: MemberRequest, user_id: int) -> HttpResponse:
    """Remove a service account, after a confirmation."""
    found, at = _find(request, user_id), timezone.now()
    form, refusal = RemovalForm(request.POST, leaving=found.membership, at=at), ""
    if request.method == "POST":
        refusal = form.remove(found.membership, by=request.actor, at=at)
        if not refusal:
            messages.success(request, _("%(name)s was removed.") % {"name": found.name})
            return _to_list(request)
    context = listing(request.actor, at=at) | {
        "who": found.membership,
        "tokens": token_hooks.counts(found.membership.account_id, at, [found.pk]).get(found.pk, 0),
        "receivers": form.receivers,
        "shown": members.snapshot(found.membership, at=at),
        "refusal": refusal,
    }
    status = 403 if refusal else 200
    return render(request, "accounts/service_accounts/remove.html", context, status=status)


def _form(
    request: MemberRequest,
    first_values: dict[str, object],
    found: ServiceAccount | None = None,
) -> ServiceAccountForm:
    return ServiceAccountForm(
        request.POST if request.method == "POST" else None,
        initial=first_values,
        account_id=request.member.account_id,
        service_account=found,
    )


def _is_made(request: MemberRequest, form: ServiceAccountForm) -> bool:
    """Make it; False if the service refuses, with its sentences at the fields of the form."""
    try:
        made = services.create(
            account=request.member.account, by=request.actor, at=timezone.now(), **form.changes
        )
    except ValidationError as refusal:
        form.add_error(None, refusal)
    else:
        _say_that_contact_is_asked(request, made, before=0)
    return not form.errors


def _say_that_contact_is_asked(
    request: MemberRequest, service_account: ServiceAccount, *, before: int
) -> None:
    if service_account.contact_number > before:
        messages.info(request, _asked(service_account.contact_email))


def _is_edited(request: MemberRequest, found: ServiceAccount, form: ServiceAccountForm) -> bool:
    before = found.contact_number
    try:
        edited = services.edit(
            service_account=found, changes=form.changes, by=request.actor, at=timezone.now()
        )
    except PermissionDenied as refusal:
        form.add_error("role", str(refusal))
    except ValidationError as refusal:
        form.add_error(None, refusal)
    else:
        _say_that_contact_is_asked(request, edited, before=before)
    return not form.errors


def _asked(email: str) -> str:
    return _(
        "A confirmation email was sent to %(email)s. It gets no notifications until it's confirmed."
    ) % {"email": email}


def _find(request: MemberRequest, user_id: int) -> ServiceAccount:
    """A service account of the account. Raises 404 for those of others."""
    known = visible_to(request.actor).select_related("contact")
    return get_object_or_404(known, membership__user=min(user_id, HIGHEST_ID))


def _to_list(request: MemberRequest) -> HttpResponse:
    return redirect("accounts:service_accounts", account_id=request.member.account_id)
