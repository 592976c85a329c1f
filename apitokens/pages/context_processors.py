"""The exclamation badge of the sidebar."""

from functools import cache
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.authorization.actor import Actor
from accounts.tenancy.decorators import shown_member
from apitokens.models import APIToken


def expiring_badge(request: HttpRequest) -> dict[str, Any]:
    """`expiring_soon`: how many tokens the person may see that expire in 7 days or less."""
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return {"expiring_soon": 0}
    # Called by the page, if it shows it; a lazy object would be no number to a plural rule.
    return {"expiring_soon": cache(lambda: _count(request))}


def _count(request: HttpRequest) -> int:
    member = shown_member(request)
    if member is None:
        return 0
    return APIToken.objects.visible_to(Actor.member(member)).expiring(timezone.now()).count()
