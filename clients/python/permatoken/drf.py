"""Django REST framework: `request.auth` is the `Token`.

Settings: `PERMATOKEN = {"url": "https://tokens.example.com", "key": "verifier_…"}`, and
`memory_seconds` if it is to be less than 1. For tokens that are limited to addresses
`client_address`: a function that tells the address of the client from the request, or None.
"""

from functools import cache
from typing import Any

from django.conf import settings
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from permatoken.authorization import token_in
from permatoken.errors import (
    ADDRESS_NOT_ALLOWED,
    CHALLENGE,
    NOT_ACTIVE,
    UNAVAILABLE,
    TooMany,
    Unavailable,
)
from permatoken.introspection import Introspector
from permatoken.token import Token

CLIENT_ADDRESS = "client_address"


class TokenUser:
    """Stands in for a user: the person is the portal's, and has no row here."""

    is_authenticated, is_anonymous, is_active = True, False, True
    is_staff = is_superuser = False

    def __init__(self, token: Token) -> None:
        self.token = token
        self.pk = self.id = token.user_id
        self.email = self.username = token.email

    def __str__(self) -> str:
        return self.email


class PortalUnavailable(exceptions.APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = UNAVAILABLE.hint
    default_code = UNAVAILABLE.code


class PermatokenAuthentication(BaseAuthentication):
    """Authenticates by the API token in the Authorization header."""

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        text = token_in(request.META.get("HTTP_AUTHORIZATION"))
        if text is None:
            return None
        address = _client_address(request)
        try:
            token = introspector().describe(text, address)
        except TooMany as fault:
            raise exceptions.Throttled(wait=float(fault.retry_after)) from None
        except Unavailable:
            raise PortalUnavailable from None
        if token is None:
            raise exceptions.AuthenticationFailed(NOT_ACTIVE.hint, NOT_ACTIVE.code)
        if token.allowed_addresses and address is None:
            raise exceptions.PermissionDenied(ADDRESS_NOT_ALLOWED.hint, ADDRESS_NOT_ALLOWED.code)
        return TokenUser(token), token

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def _client_address(request: Request) -> str | None:
    tell = getattr(settings, "PERMATOKEN", {}).get(CLIENT_ADDRESS)
    return tell(request) if tell else None


@cache
def introspector() -> Introspector:
    """The one of this process."""
    options = {name: each for name, each in settings.PERMATOKEN.items() if name != CLIENT_ADDRESS}  # type: ignore[misc]  # of the service
    return Introspector(**options)
