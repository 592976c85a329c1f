"""The pages of the inbox."""

import logging

from django.contrib import messages
from django.db import Error
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from notifications import services
from notifications.inbox.listing import inbox_of
from notifications.links import path_to
from notifications.models import Notice
from notifications.recipients import PersonRequest, person_required

LONGEST_ID = 19
"""Digits. No notice has an id of so many, and no database takes more."""

logger = logging.getLogger(__name__)


@require_safe
@never_cache
@person_required
def inbox(request: PersonRequest) -> HttpResponse:
    """Notices: what the portal has told this person about this account."""
    context = inbox_of(request.person, request.GET)
    return render(request, "notifications/inbox.html", context)


@require_safe
@never_cache
@person_required
def follow(request: PersonRequest, pk: int) -> HttpResponse:
    """Mark a notice as read, and redirect to the page that it is about: also where that cannot be
    marked just now."""
    notice = _own_notice(request, pk)
    try:
        services.mark_read(person=request.person, notice_id=notice.pk, at=timezone.now())
    except Error:
        logger.warning("Notice %s was not marked as read.", notice.pk, exc_info=True)
    return HttpResponseRedirect(notice.link or _inbox_path(request))


@require_POST
@person_required
def read(request: PersonRequest, pk: int) -> HttpResponse:
    """Mark one notice as read."""
    notice = _own_notice(request, pk)
    services.mark_read(person=request.person, notice_id=notice.pk, at=timezone.now())
    messages.success(request, _("The notification was marked as read."))
    return redirect(_same_page(request))


@require_POST
@person_required
def read_all(request: PersonRequest) -> HttpResponse:
    """Mark all notices of this account as read, up to the newest when the page was made."""
    newest = request.POST.get("newest")
    if newest is not None:
        newest = newest if newest.isdecimal() and len(newest) < LONGEST_ID else "0"
    count = services.mark_read(
        person=request.person,
        newest_id=None if newest is None else int(newest),
        at=timezone.now(),
    )
    words = ngettext(
        "%(count)d notification was marked as read.",
        "%(count)d notifications were marked as read.",
        count,
    )
    messages.success(request, words % {"count": count})
    return redirect(_same_page(request))


def _own_notice(request: PersonRequest, pk: int) -> Notice:
    person = request.person
    own = Notice.objects.to(user_id=person.user_id, account_id=person.account_id)
    return get_object_or_404(own, pk=pk)


def _same_page(request: PersonRequest) -> str:
    page = request.POST.get("page", "")
    is_number = page.isdecimal() and len(page) <= LONGEST_ID
    return _inbox_path(request) + (f"?page={page}" if is_number else "")


def _inbox_path(request: PersonRequest) -> str:
    return path_to("notifications:inbox", account_id=request.person.account_id)
