"""The pages of notices: the inbox, the settings, and the page that a mail's link stops mails on."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from notifications import preferences, services, unsubscribe
from notifications.forms import SettingsForm
from notifications.inbox import inbox_of
from notifications.kinds import Channel
from notifications.models import Notice
from notifications.people import PersonRequest, person_required


@require_safe
@never_cache
@person_required
def inbox(request: PersonRequest) -> HttpResponse:
    """Notices: what the portal has told this person about this account."""
    context = inbox_of(request.person, page=request.GET.get("page"))
    return render(request, "notifications/inbox.html", context)


@require_safe
@never_cache
@person_required
def follow(request: PersonRequest, pk: int) -> HttpResponse:
    """Go where something can be done about a notice; whoever does so has read it."""
    notice = _own_notice(request, pk)
    services.mark_read(person=request.person, notice_id=notice.pk, at=timezone.now())
    return HttpResponseRedirect(notice.link or reverse("notifications:inbox"))


@require_POST
@person_required
def read(request: PersonRequest, pk: int) -> HttpResponse:
    """Mark one notice as read."""
    notice = _own_notice(request, pk)
    services.mark_read(person=request.person, notice_id=notice.pk, at=timezone.now())
    messages.success(request, _("The notice was marked as read."))
    return redirect(_same_page(request))


@require_POST
@person_required
def read_all(request: PersonRequest) -> HttpResponse:
    """Mark all notices of this account as read."""
    count = services.mark_read(person=request.person, at=timezone.now())
    words = ngettext(
        "%(count)d notice was marked as read.", "%(count)d notices were marked as read.", count
    )
    messages.success(request, words % {"count": count})
    return redirect(_same_page(request))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@person_required
def settings(request: PersonRequest) -> HttpResponse:
    """Notifications: what this person wants to be told about this account, and how."""
    present = preferences.settings_of(request.person)
    form = SettingsForm(request.POST or None, person=request.person, present=present)
    if request.method != "POST":
        return render(request, "notifications/settings.html", {"form": form})
    if form.is_valid():
        preferences.choose(request.person, form.chosen)
        messages.success(request, _("Your notification settings were saved."))
    else:
        messages.error(
            request,
            _(
                "Nothing was saved, because you have switched to another account meanwhile. "
                "These are your settings for that account."
            ),
        )
    return redirect("notifications:settings")


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
        return render(request, "notifications/bad_link.html", status=400)
    if request.method == "POST":
        preferences.turn_off(stop.person, stop.kind, Channel.EMAIL)
    wanted = preferences.wanted_channels([stop.person], stop.kind)[stop.person]
    page = "unsubscribe" if Channel.EMAIL in wanted else "stopped"
    return render(request, f"notifications/{page}.html", {"stop": stop})


def _own_notice(request: PersonRequest, pk: int) -> Notice:
    person = request.person
    own = Notice.objects.to(user_id=person.user_id, account_id=person.account_id)
    return get_object_or_404(own, pk=pk)


def _same_page(request: HttpRequest) -> str:
    page = request.POST.get("page", "")
    return reverse("notifications:inbox") + (f"?page={page}" if page.isdecimal() else "")
