"""Authenticates `Authorization: Bearer <access token>`; 401 or 429 for bad credentials. And looks
whether a token has the scope that a call needs: 403."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.api.refusals import Busy, ScopeMissing
from accounts.authorization.actor import Actor
from accounts.authorization.scopes import OWN_SCOPES, own_scope
from accounts.http.client_ip import client_address
from accounts.jwt import token_families
from accounts.jwt.tokens import Invalid
from accounts.models import User
from accounts.throttling import process_counters

ENDED = "Token is invalid or expired"
View = TypeVar("View", bound=Callable[..., Any])
CHALLENGE = 'APIKey realm="permatoken", Bearer realm="permatoken"'


class Refused(APIException):
    """401 for bad credentials, also where the call itself needs none."""

    status_code = status.HTTP_401_UNAUTHORIZED
    auth_header = CHALLENGE


class BearerAuthentication(BaseAuthentication):
    """Sets `request.user`, and in `request.auth` an `Actor` with the user's role."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.replace("\t", " ").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        address = client_address(request._request)
        try:
            actor = token_families.authenticate_access_token(
                token.strip(), at=timezone.now(), address=address
            )
        except Invalid as invalid:
            raise refused(address, is_guess=invalid.is_guess) from None
        assert actor.user is not None
        return actor.user, actor

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def refused(address: str | None, *, is_guess: bool) -> APIException:
    """The 401 for a bad token; 429 for an address that guesses too often."""
    try:
        if is_guess:
            process_counters.count_refusal(address, at=timezone.now())
    except process_counters.TooMany as too_many:
        return Busy(too_many)
    return Refused({"message": ENDED})


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BearerAuthentication
    name = "Bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "`Bearer <access token>`: see Standard authorization.",
        }


class HasScope(BasePermission):
    """Refuses tokens that are limited to other scopes; and at a view that does not say which part
    of the API it is, all that are limited. `only_reads` marks one that takes by POST what must not
    stand in an address."""

    def has_permission(self, request: Request, view: Any) -> bool:
        by = request.auth
        if not isinstance(by, Actor) or by.scopes is None:
            return True
        part = getattr(view, "part_of_api", None)
        if part is None:
            return False
        is_reading = request.method in SAFE_METHODS or getattr(view, "only_reads", False)
        scope = own_scope(part, is_reading=is_reading)
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
