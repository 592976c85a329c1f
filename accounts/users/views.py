"""View of the page My profile."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.authorization.actor import Actor
from accounts.http.client_ip import client_address
from accounts.models import User
from accounts.users import services as user_services
from accounts.users.forms import ProfileForm


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """My profile: name, phone, language, time zone."""
    assert isinstance(request.user, User)
    sent = request.POST if request.method == "POST" else None
    form = ProfileForm(sent, instance=User.objects.get(pk=request.user.pk))
    if form.is_valid():
        user_services.change_profile(
            user=form.instance,
            name=form.cleaned_data["name"],
            phone=form.cleaned_data["phone"],
            time_zone=form.cleaned_data["time_zone"],
            language=form.cleaned_data["language"],
            by=Actor.person(request.user, address=client_address(request)),
            at=timezone.now(),
        )
        with translation.override(form.instance.catalogue):  # the page that tells it is in that one
            messages.success(request, _("Your profile was saved."))
        return redirect("accounts:profile")
    status = 400 if form.errors else 200
    return render(request, "accounts/profile.html", {"form": form}, status=status)
