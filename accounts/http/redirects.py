"""Safe redirects: to paths of the portal, never to another site."""

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def is_our_path(wanted: str) -> bool:
    """True for a path that browsers resolve to this site, whatever host names it has."""
    return wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)


def safe_next(request: HttpRequest, *, fallback: str) -> str:
    """The parameter `next`, if it is a path of the portal; else `fallback`."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    return wanted if is_our_path(wanted) else fallback
