"""The scopes that calls of the API need: a permission class of REST framework looks at them.

REST framework's views import this module: it must not import them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.api.refusals import FORBIDDEN
from accounts.authorization.actor import Actor
from accounts.authorization.scopes import OWN_SCOPES, own_scope

SCOPE_MISSING = "scope_missing"
View = TypeVar("View", bound=Callable[..., Any])


class ScopeMissing(exceptions.PermissionDenied):
    """403 that names the scope."""

    def __init__(self, scope: str) -> None:
        hint = f"The API token lacks the scope {scope}. Add it to the token, or use another one."
        super().__init__(
            {"message": FORBIDDEN, "code": SCOPE_MISSING, "hint": hint, "scope": scope}
        )


class HasScope(BasePermission):
    """Refuses tokens that are limited to other scopes; and at a view that does not say which part
    of the API it is, all that are limited."""

    def has_permission(self, request: Request, view: Any) -> bool:
        by = request.auth
        if not isinstance(by, Actor) or by.scopes is None:
            return True
        part = getattr(view, "part_of_api", None)
        if part is None:
            return False
        scope = own_scope(part, is_reading=request.method in SAFE_METHODS)
        if not by.has_scope(scope):
            raise ScopeMissing(scope)
        return True


def part_of_api(service: str) -> Callable[[View], View]:
    """Say which part of the API a function is: reading it needs the scope `…:read`, all else
    `…:write`."""
    assert service in OWN_SCOPES

    def mark(view: View) -> View:
        view.cls.part_of_api = service  # type: ignore[attr-defined]  # of `api_view`
        return view

    return mark
