"""What the frame around every page shows."""

from typing import Any

from django.http import HttpRequest

from accounts.requests import current_member, memberships_of


def shell(request: HttpRequest) -> dict[str, Any]:
    """`member` and `memberships`, read from the database only when the page shows them."""
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return {"member": None, "memberships": []}
    return {"member": current_member(request), "memberships": memberships_of(request)}
