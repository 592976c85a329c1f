"""Pages about the person who looks at them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import services
from accounts.actors import Actor, Through
from accounts.addresses import client_address
from accounts.forms import ProfileForm
from accounts.models import User
from accounts.requests import SESSION_KEY, memberships_of


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """My profile: name, time zone, language."""
    assert isinstance(request.user, User)
    sent = request.POST if request.method == "POST" else None
    form = ProfileForm(sent, instance=User.objects.get(pk=request.user.pk))
    if form.is_valid():
        services.change_profile(
            user=form.instance,
            name=form.cleaned_data["name"],
            time_zone=form.cleaned_data["time_zone"],
            language=form.cleaned_data["language"],
            by=Actor(through=Through.PORTAL, user=request.user, address=client_address(request)),
            at=timezone.now(),
        )
        messages.success(request, _("Your profile was saved."))
        return redirect("accounts:profile")
    status = 400 if form.errors else 200
    return render(request, "accounts/profile.html", {"form": form}, status=status)


@login_required
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Work in another of my accounts."""
    chosen = next(
        (
            member
            for member in memberships_of(request)
            if str(member.account_id) == request.POST.get("account")
        ),
        None,
    )
    if chosen is None:
        messages.error(request, _("You do not belong to that account. Choose one from the list."))
    else:
        request.session[SESSION_KEY] = chosen.account_id
        messages.success(
            request, _("You now work in %(account)s.") % {"account": chosen.account.name}
        )
    return HttpResponseRedirect(safe_next(request, fallback="/"))


@login_required
@require_safe
def open_account(request: HttpRequest, account_id: int) -> HttpResponse:
    """The way in from a mail: go on to a page in the account that the mail was about."""
    if any(member.account_id == account_id for member in memberships_of(request)):
        request.session[SESSION_KEY] = account_id
    else:
        messages.error(request, _("You do not belong to that account any more."))
    return HttpResponseRedirect(safe_next(request, fallback="/"))


def safe_next(request: HttpRequest, *, fallback: str) -> str:
    """The path a form asks to go on to, if it is one of ours; else `fallback`."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else fallback
