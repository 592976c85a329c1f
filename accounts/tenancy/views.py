"""Views that lead on: to the account used last, and from the addresses of former versions."""

import re
from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.tenancy.decorators import last_member, without_account
from accounts.tenancy.forms import OwnAccountForm

TOKENS = "profile/api-tokens/"
PAGES = {
    "profile/account/single-sign-on/": "single-sign-on/",
    "profile/account/": "",
    "profile/users/": "users/",
    TOKENS: "api-tokens/",
    "profile/audit-log/": "audit-log/",
    "profile/audit-log.csv": "audit-log.csv",
    "profile/notifications/": "notifications/settings/",
    "notifications/": "notifications/",
}
"""Beginnings of addresses that name no account, and what stands for them within an account."""

PATTERN = rf"^(?P<page>(?:{'|'.join(map(re.escape, PAGES))}).*)$"


@require_safe
@never_cache
@login_required
def in_last_account(request: HttpRequest, page: str = TOKENS) -> HttpResponse:
    """Redirect to the same page of the account used last."""
    member = last_member(request)
    if member is None:
        return without_account(request, OwnAccountForm(), status=403)
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(_with_query(path_in(member.account_id, page), query))


@require_safe
@never_cache
def former_link(request: HttpRequest, account_id: int) -> HttpResponse:
    """Redirect from the link of a mail of former versions to its page, in its account."""
    path, _mark, query = request.GET.get("next", "").partition("?")
    page = path.removeprefix("/")
    if not page.startswith(tuple(PAGES)):
        return HttpResponseRedirect(path_in(account_id, TOKENS))
    return HttpResponseRedirect(_with_query(path_in(account_id, page), query))


def path_in(account_id: int, page: str) -> str:
    """The path within an account that stands for one which names none."""
    start = next(start for start in PAGES if page.startswith(start))
    account = reverse("accounts:account", kwargs={"account_id": account_id})
    return account + PAGES[start] + quote(page.removeprefix(start))


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
