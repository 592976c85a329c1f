"""`Authorization: APIKey <token>` for the REST API."""

from time import perf_counter

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from accounts.api import authentication
from accounts.api.refusals import FORBIDDEN, Busy
from accounts.authorization.actor import Actor
from accounts.http.client_ip import client_address
from accounts.models import Membership, User
from accounts.throttling.process_counters import TooMany
from apitokens.api.responses import error_body
from apitokens.verification.authorization_header import is_bearer, verify_request
from apitokens.verification.refusals import Insufficient, Refusal, Refused, Verified
from telemetry.metrics import DATABASE, verifications


class NotEnough(APIException):
    """403 for a token that is good, but not for this."""

    status_code = status.HTTP_403_FORBIDDEN

    def __init__(self, reason: Insufficient) -> None:
        super().__init__({"message": FORBIDDEN, "code": reason.code, "hint": reason.sentence})


class APITokenAuthentication(BaseAuthentication):
    """Leaves the issuer in `request.user` and an `Actor`, capped by the token, in `.auth`."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        if is_bearer(request.META.get("HTTP_AUTHORIZATION", "")):
            return None  # another class's: short-lived tokens are no API tokens
        began = perf_counter()
        try:
            verified = verify_request(request._request)
        except Refused as refused:
            verifications.add("api", refused.code, DATABASE, perf_counter() - began)
            if refused.code is Refusal.MISSING:
                return None
            raise authentication.Refused(error_body(refused)) from None
        except Insufficient as reason:
            verifications.add("api", reason.code, DATABASE, perf_counter() - began)
            raise NotEnough(reason) from None
        except TooMany as too_many:
            raise Busy(too_many) from None
        verifications.add("api", "good", DATABASE, perf_counter() - began)
        actor = _actor(verified, client_address(request._request))
        assert actor.user is not None
        return actor.user, actor

    def authenticate_header(self, request: Request) -> str:
        return authentication.CHALLENGE


def _actor(verified: Verified, address: str | None) -> Actor:
    assert verified.token_id is not None  # short-lived tokens are another class's
    members = Membership.everyone.select_related("user", "account")
    return Actor.token(
        members.get(pk=verified.membership_id),
        token_id=verified.token_id,
        role=verified.role,
        ends_at=verified.expires_at,
        secret_number=verified.secret_number,
        scopes=verified.scopes,
        address=address,
    )


class APITokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = APITokenAuthentication
    name = "APIKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`APIKey <token>`, with a permanent API token in either form.",
        }
