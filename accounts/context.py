"""What the frame around every page shows."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.entry import is_open_for_sign_up
from accounts.requests import current_member, memberships_of


def shell(request: HttpRequest) -> dict[str, Any]:
    """`member` and `memberships`, read from the database only when the page shows them."""
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
