"""Notifications: the settings page, and the page that stops mails of one kind."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from notifications.kinds import Channel
from notifications.preferences import refusals, unsubscribe
from notifications.preferences import services as preferences
from notifications.preferences.forms import SettingsForm
from notifications.recipients import PersonRequest, audiences_of, person_required


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@person_required
def settings(request: PersonRequest) -> HttpResponse:
    """Notifications: the settings page of this person for this account."""
    present = preferences.settings_of(request.person)
    form = SettingsForm(
        request.POST or None,
        person=request.person,
        audiences=audiences_of(request),
        present=present,
    )
    if request.method != "POST":
        return render(request, "notifications/settings.html", {"form": form})
    if form.is_valid():
        preferences.choose(request.person, form.chosen)
        messages.success(request, _("Your notification settings were saved."))
    else:
        messages.error(request, _("This form is damaged. Reload the page and fill it in again."))
    return redirect("notifications:settings", account_id=request.person.account_id)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def stop_mails(request: HttpRequest, signed: str) -> HttpResponse:
    """Stop one kind of mails, without a sign-in: the signature of the link is the permission.

    Only a POST changes anything, because mail filters open links. It comes from the page's button
    or, with one click and no page, from a mail program (RFC 8058): neither can have a CSRF token.
    """
    try:
        stop = unsubscribe.read(signed)
    except unsubscribe.BadLink:
        return render(request, "notifications/unsubscribe/bad_link.html", status=400)
    if request.method == "POST":
        refusals.refuse(stop.person, stop.kind, address=stop.email)
    wanted = preferences.wanted_channels([stop.person], stop.kind)[stop.person]
    page = "confirm" if Channel.EMAIL in wanted else "done"
    return render(request, f"notifications/unsubscribe/{page}.html", {"stop": stop})
