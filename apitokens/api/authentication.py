"""`Authorization: APIKey <token>` for the REST API."""

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.actors import Actor
from accounts.addresses import client_address
from accounts.api import authentication
from accounts.api.authentication import ENDED
from accounts.models import Membership, User
from apitokens.verification import Refusal, Refused, Verified, verify

# The sentences of the wire; `code` and `hint` beside them say more.
BAD = "Bad permanent token"


class APITokenAuthentication(BaseAuthentication):
    """Leaves the issuer in `request.user` and an `Actor`, capped by the token, in `.auth`."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.strip().partition(" ")
        if scheme.lower() != "apikey":
            return None
        address = client_address(request._request)
        try:
            verified = verify(presented=token.strip(), at=timezone.now(), address=address)
        except Refused as refused:
            raise authentication.refused(_told(refused), address) from None
        actor = _actor(verified, address)
        assert actor.user is not None
        return actor.user, actor

    def authenticate_header(self, request: Request) -> str:
        return authentication.CHALLENGE


def _told(refused: Refused) -> dict[str, str]:
    is_bad = refused.code in (Refusal.MALFORMED, Refusal.UNKNOWN)
    return {
        "message": BAD if is_bad else ENDED,
        "code": refused.code,
        "hint": str(refused.sentence),
    }


def _actor(verified: Verified, address: str | None) -> Actor:
    members = Membership.objects.select_related("user", "account")
    return Actor.token(
        members.get(pk=verified.membership_id),
        token_id=verified.token_id,
        role=verified.role,
        ends_at=verified.expires_at,
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
            "description": "`APIKey <token>`, with a permanent API token in either spelling.",
        }
