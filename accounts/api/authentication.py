"""`Authorization: Bearer <access token>` for the REST API, and what everybody refused is told."""

import logging
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from redis import RedisError
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from accounts import ratelimits
from accounts.actors import Actor
from accounts.addresses import client_address, network_of
from accounts.api.refusals import TooMany
from accounts.jwt import families
from accounts.jwt.tokens import Invalid
from accounts.models import User
from accounts.ratelimits import Limit, TooManyTries

logger = logging.getLogger(__name__)

ENDED = "Token is invalid or expired"
CHALLENGE = 'APIKey realm="permatoken", Bearer realm="permatoken"'
FAILURES = Limit("api-failures", 60, timedelta(minutes=1))
"""Refused credentials from one address. Good ones from there go on working: a program that was
forgotten in some corner of an office must not stop the others."""


class Refused(APIException):
    """401 for credentials that are not good, also where the call itself needs none."""

    status_code = status.HTTP_401_UNAUTHORIZED
    auth_header = CHALLENGE


class BearerAuthentication(BaseAuthentication):
    """Leaves the person in `request.user`, and an `Actor` with their role in `.auth`."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        address = client_address(request._request)
        try:
            actor = families.who(token.strip(), at=timezone.now(), address=address)
        except Invalid:
            raise refused({"message": ENDED}, address) from None
        assert actor.user is not None
        return actor.user, actor

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def refused(told: dict[str, Any], address: str | None) -> APIException:
    """The 401 for bad credentials; 429 for an address that sends too many. Without the cache nobody
    counts: who may come in does not depend on it."""
    try:
        ratelimits.take(FAILURES, network_of(address))
    except TooManyTries as limit:
        return TooMany(limit)
    except (RedisError, OSError):
        logger.exception("The refused credentials of %s were not counted.", address)
    return Refused(told)


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
