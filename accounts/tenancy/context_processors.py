"""What the frame around every page shows."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.tenancy.decorators import current_member, memberships_of
from accounts.tenancy.registration_policy import is_open_for_sign_up

SECTIONS = ("account", "users", "api-tokens", "audit-log", "notifications")
"""Parts of the profile that have an entry of their own in the sidebar, by their addresses."""


def layout(request: HttpRequest) -> dict[str, Any]:
    """`section`, the entry of the sidebar that the page belongs to; `member` and `memberships`,
    read from the database only when the page shows them."""
    return {"section": section_of(request.path_info), **_who(request)}


def section_of(path: str) -> str:
    """One of `SECTIONS`; "profile" for what else is in the profile; "" for anything else."""
    _root, profile, *rest = [*path.split("/"), ""]
    if profile != "profile":
        return ""
    return rest[0] if rest[0] in SECTIONS else "profile"


def _who(request: HttpRequest) -> dict[str, Any]:
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
