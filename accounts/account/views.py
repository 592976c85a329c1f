"""Views of the page Account, and of leaving and opening accounts."""

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.account import services as account_services
from accounts.account.forms import AccountForm
from accounts.authorization import token_hooks
from accounts.authorization.actor import Actor
from accounts.http.client_ip import client_address
from accounts.members import services as members
from accounts.members.forms import RemovalForm
from accounts.models import Account, User
from accounts.sign_in import registration
from accounts.tenancy.decorators import (
    SESSION_KEY,
    MemberRequest,
    last_member,
    member_required,
    without_account,
)
from accounts.tenancy.forms import OwnAccountForm


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
def account(request: MemberRequest) -> HttpResponse:
    """The page Account: name, id and limits, and the other accounts of the person."""
    current, at = Account.objects.get(pk=request.member.account_id), timezone.now()
    form = AccountForm(request.POST if request.method == "POST" else None, instance=current)
    if request.method == "POST" and not request.member.is_administrator:
        raise PermissionDenied(_("Only Administrators can change the company name."))
    if form.is_valid():
        name = form.cleaned_data["name"]
        account_services.rename_account(account=current, name=name, by=request.actor, at=at)
        messages.success(request, _("The company name was saved."))
        return redirect("accounts:account", account_id=current.pk)
    context = {
        "form": form,
        "usage": {
            "in_use": token_hooks.number(current.pk, at),
            "limit": current.most_tokens,
        },
    }
    status = 400 if form.errors else 200
    return render(request, "accounts/account.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
def leave(request: MemberRequest) -> HttpResponse:
    """Leave the account, after a confirmation."""
    member, at = request.member, timezone.now()
    form = RemovalForm(request.POST)
    refusal = ""
    if request.method == "POST" and form.is_valid():
        try:
            members.leave_account(
                membership=member,
                delete_tokens=form.cleaned_data["delete_tokens"],
                shown=form.cleaned_data["shown"] or None,
                by=request.actor,
                at=at,
            )
        except PermissionDenied as refused:
            refusal = str(refused)
        except ValidationError as refused:
            refusal = " ".join(refused.messages)
        else:
            messages.success(
                request,
                _("You no longer belong to %(name)s.") % {"name": member.account.name},
            )
            return redirect("accounts:profile")
    tokens = token_hooks.counts(member.account_id, at, [member.pk]).get(member.pk, 0)
    context = {"who": member, "tokens": tokens, "refusal": refusal}
    context["shown"] = members.snapshot(member, at=at)
    return render(request, "accounts/leave_account.html", context, status=403 if refusal else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def new_account(request: HttpRequest) -> HttpResponse:
    """Open an own account, for people who belong to none."""
    assert isinstance(request.user, User)
    if (member := last_member(request)) is not None:
        return redirect("accounts:account", account_id=member.account_id)
    form = OwnAccountForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return without_account(request, form, status=400 if form.errors else 200)
    try:
        member = registration.open_own_account(
            user=request.user,
            account_name=form.cleaned_data["account_name"],
            by=Actor.person(request.user, address=client_address(request)),
            at=timezone.now(),
        )
    except PermissionDenied as refusal:
        form.add_error(None, str(refusal))
        return without_account(request, form, status=403)
    request.session[SESSION_KEY] = member.account_id
    messages.success(request, _("The account has been created. You are its first Administrator."))
    return redirect("apitokens:list", account_id=member.account_id)
