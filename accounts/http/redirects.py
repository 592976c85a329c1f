"""Where to go on to: paths of the portal, never another site."""

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def is_our_path(wanted: str) -> bool:
    """True for what a browser takes for a path of this very site, whatever hosts it is known by."""
    return wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)


def safe_next(request: HttpRequest, *, fallback: str) -> str:
    """The path a form asks to go on to, if it is one of ours; else `fallback`."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    return wanted if is_our_path(wanted) else fallback
