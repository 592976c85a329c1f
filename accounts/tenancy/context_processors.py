"""Context processor of the page layout."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.tenancy.decorators import current_member, memberships_of
from accounts.tenancy.registration_policy import is_open_for_sign_up

SECTIONS = ("account", "users", "api-tokens", "audit-log", "notifications")
"""Parts of the profile with an entry of their own in the sidebar, by their paths."""


def layout(request: HttpRequest) -> dict[str, Any]:
    """Add `section`, the page's entry in the sidebar, and `member` and `memberships`, which query
    the database only when the page shows them."""
    return {"section": section_of(request.path_info), **_membership_context(request)}


def section_of(path: str) -> str:
    """One of `SECTIONS`, "profile" for other pages of the profile, "" outside of it."""
    _root, profile, *rest = [*path.split("/"), ""]
    if profile != "profile":
        return ""
    return rest[0] if rest[0] in SECTIONS else "profile"


def _membership_context(request: HttpRequest) -> dict[str, Any]:
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return {
            "member": None,
            "memberships": [],
            "is_open_for_sign_up": is_open_for_sign_up(),
        }
    return {
        "member": SimpleLazyObject(lambda: current_member(request)),
        "memberships": SimpleLazyObject(lambda: memberships_of(request)),
    }
