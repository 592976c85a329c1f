"""The OpenAPI description of each call."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)

from accounts.api.pagination import LIMIT_PARAMETER, MOST_AT_ONCE, OFFSET_PARAMETER
from accounts.api.schema import ACCOUNT_ID, UNAUTHENTICATED, or_empty, refusal
from apitokens.api.serializers import (
    EditedTokenSerializer,
    IssuedSerializer,
    NewTokenSerializer,
    RotationSerializer,
    TokenPageSerializer,
    TokenSerializer,
)
from apitokens.keys import Separator

_EXPIRES_ON = f"{datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}"
"""A day that any caller may ask for, so that the example call works as it is printed."""
TOKEN: dict[str, Any] = {
    "id": 771142358,
    "name": "Cache clearing",
    "description": "Clears the cache after each release.",
    "exp_date": f"{_EXPIRES_ON}T23:59:59.000000Z",
    "created": "2026-11-23T09:30:00.000000Z",
    "deleted": False,
    "expired": False,
    "last_usage": "",
    "client_user": {
        "deleted": False,
        "user_id": 12,
        "user_name": "Maria Okafor",
        "user_email": "maria@example.com",
        "client_id": 1,
        "role": {"id": 3022, "name": "Purge and Prefetch only (API)"},
        "service_account": False,
    },
    "rotations": 0,
    "rotated": None,
    "old_secret": None,
    "scopes": ["cdn:purge"],
    "allowed_addresses": ["203.0.113.7", "2001:db8::/48"],
}
_PAGE = {"count": 1, "next": None, "previous": None, "results": [TOKEN]}
_ROTATED: dict[str, Any] = {
    **TOKEN,
    "last_usage": "2026-11-23T10:05:00.000000Z",
    "rotations": 1,
    "rotated": "2026-11-23T10:00:00.000000Z",
    "old_secret": {
        "works": True,
        "works_until": "2026-11-24T10:00:00.000000Z",
        "last_usage": "2026-11-23T10:05:00.000000Z",
        "last_usage_address": "203.0.113.7",
    },
}
_ASKED = {
    "name": "Cache clearing",
    "description": "Clears the cache after each release.",
    "exp_date": f"{_EXPIRES_ON}T23:59:59Z",
    "client_user": {"role": {"id": 3022}},
    "scopes": ["tokens:read"],
    "allowed_addresses": ["203.0.113.7", "2001:db8::/48"],
}


_NO_ACCOUNT = refusal("The account doesn't match the token", message="Account not found.")
_NO_TOKEN = refusal("No such token, or you may not see it", message="API token not found.")


class _Version(NamedTuple):
    """The differences between v1 and v2: the addresses' names, and the spelling of new tokens."""

    suffix: str
    tag: str
    separator: Separator


_V1 = _Version("", "API tokens", "$")
_V2 = _Version("_v2", "API tokens, v2", "_")

_TOKEN_ID = OpenApiParameter(
    "token_id", int, OpenApiParameter.PATH, description="The token's ID: the part before $ or _."
)
ROLE = OpenApiParameter("role", str, description="Only tokens with this role, by ID or name.")
ISSUED_BY = OpenApiParameter(
    "issued_by",
    or_empty({"type": "integer"}),
    description="Only tokens issued by the user with this ID.",
)
NOT_ISSUED_BY = OpenApiParameter(
    "not_issued_by",
    or_empty({"type": "integer"}),
    description="Only tokens not issued by this user.",
)
_FILTERS = [
    ACCOUNT_ID,
    ROLE,
    ISSUED_BY,
    NOT_ISSUED_BY,
    OpenApiParameter(
        "deleted",
        or_empty({"type": "boolean"}, "True", "False", "1", "0"),
        description="True for deleted tokens; otherwise those not deleted.",
    ),
]


def _list(version: _Version) -> Any:
    return extend_schema(
        operation_id=f"list_api_tokens{version.suffix}",
        summary="List API tokens",
        description=(
            "Administrators get all API tokens of the account; other users get only the "
            "ones they issued, and those of service accounts for which they may issue tokens. With "
            "limit or offset, the response is one page; without, an array of all of them, up to "
            f"{MOST_AT_ONCE:,}."
        ),
        tags=[version.tag],
        parameters=[*_FILTERS, LIMIT_PARAMETER, OFFSET_PARAMETER],
        responses={
            200: OpenApiResponse(
                PolymorphicProxySerializer(
                    "TokenList",
                    [TokenSerializer(many=True), TokenPageSerializer],
                    resource_type_field_name=None,
                    many=False,
                ),
                "The tokens, oldest first",
                [
                    OpenApiExample("Without limit and offset", [TOKEN], response_only=True),
                    OpenApiExample("With limit or offset", _PAGE, response_only=True),
                ],
            ),
            400: refusal(
                "Invalid filter",
                message="The request is not valid: see errors.",
                errors={"issued_by": ["Enter a number."]},
            ),
            401: UNAUTHENTICATED,
            404: _NO_ACCOUNT,
        },
    )


def _create(version: _Version) -> Any:
    issued = {**TOKEN, "token": f"{TOKEN['id']}{version.separator}<72 hexadecimal digits>"}
    created = OpenApiExample("Created", issued, response_only=True)
    return extend_schema(
        operation_id=f"create_api_token{version.suffix}",
        summary="Create an API token",
        description="The response contains the token itself, only this once: it is not stored. "
        "Its role can't be higher than yours, and a token can't create one that "
        "outlives it or has scopes that it lacks. With `issuer`, the token is a service account's, "
        "and its role can't be higher than that.",
        tags=[version.tag],
        parameters=[ACCOUNT_ID],
        request=NewTokenSerializer,
        examples=[OpenApiExample("New token", _ASKED, request_only=True)],
        responses={
            200: OpenApiResponse(IssuedSerializer, "The new token", [created]),
            400: refusal(
                "The request is invalid; nothing was created",
                message="The request is not valid: see errors.",
                errors={"client_user": {"role": ["Can't create token with role Administrators"]}},
            ),
            401: UNAUTHENTICATED,
            403: refusal(
                "The service account is turned off, or you aren't permitted",
                message="This service account is turned off or was removed, so it gets no API "
                "tokens.",
            ),
            404: _NO_ACCOUNT,
        },
    )


def _get(version: _Version) -> Any:
    token = OpenApiExample("Token", TOKEN, response_only=True)
    return extend_schema(
        operation_id=f"get_api_token{version.suffix}",
        summary="Get an API token",
        description=(
            "Details of one token, whether active, expired or deleted. The secret is "
            "never included."
        ),
        tags=[version.tag],
        parameters=[ACCOUNT_ID, _TOKEN_ID],
        responses={
            200: OpenApiResponse(TokenSerializer, "The token", [token]),
            401: UNAUTHENTICATED,
            404: _NO_TOKEN,
        },
    )


def _delete(version: _Version) -> Any:
    return extend_schema(
        operation_id=f"delete_api_token{version.suffix}",
        summary="Delete an API token",
        description="The token stops working immediately. Applications that use it lose access. "
        "This can't be undone.",
        tags=[version.tag],
        parameters=[ACCOUNT_ID, _TOKEN_ID],
        responses={
            204: OpenApiResponse(description="Deleted"),
            401: UNAUTHENTICATED,
            403: refusal(
                "The calling token has a lower role than this one",
                message="You do not have permission to delete this API token.",
            ),
            404: _NO_TOKEN,
        },
    )


def _edit(version: _Version) -> Any:
    asked = {"name": "Cache clearing (old)", "client_user": {"role": {"id": 2}}}
    edited = {**TOKEN, "name": asked["name"]}
    return extend_schema(
        operation_id=f"edit_api_token{version.suffix}",
        summary="Edit an API token",
        description="Its name and description, an earlier expiration, a lower role, other scopes, "
        "the addresses that it works from. The secret stays the same. A token that is limited to "
        "addresses can't let another one work from others.",
        tags=[version.tag],
        parameters=[ACCOUNT_ID, _TOKEN_ID],
        request=EditedTokenSerializer,
        examples=[OpenApiExample("Changes", asked, request_only=True)],
        responses={
            200: OpenApiResponse(
                TokenSerializer,
                "The token, as it is now",
                [OpenApiExample("Edited", edited, response_only=True)],
            ),
            400: refusal(
                "The request is invalid; nothing was changed",
                message="The request is not valid: see errors.",
                errors={
                    "client_user": {
                        "role": [
                            "The role of a token can only be lowered. Create a new token for a "
                            "higher role."
                        ]
                    }
                },
            ),
            401: UNAUTHENTICATED,
            403: refusal(
                "The calling token has a lower role than this one",
                message="You do not have permission to edit this API token.",
            ),
            404: _NO_TOKEN,
        },
    )


def _rotate(version: _Version) -> Any:
    rotated = {**_ROTATED, "token": f"{TOKEN['id']}{version.separator}<72 hexadecimal digits>"}
    asked = {"old_secret_hours": 24, "rotations": 0}
    return extend_schema(
        operation_id=f"rotate_api_token{version.suffix}",
        summary="Rotate an API token",
        description="Gives the token a new secret under the same id. The answer holds it, this "
        "once: it is not stored. The old secret keeps working for `old_secret_hours`; `old_secret` "
        "tells until when, and when it was last used. Rotating again ends the oldest. A token "
        "can rotate itself, by its newest secret and up to its own expiration. Clients that "
        "repeat a request by themselves should send `rotations`.",
        tags=[version.tag],
        parameters=[ACCOUNT_ID, _TOKEN_ID],
        request=RotationSerializer,
        examples=[OpenApiExample("Rotation", asked, request_only=True)],
        responses={
            200: OpenApiResponse(
                IssuedSerializer,
                "The token with its new secret",
                [OpenApiExample("Rotated", rotated, response_only=True)],
            ),
            400: refusal(
                "The request is invalid; nothing was changed",
                message="The request is not valid: see errors.",
                errors={"old_secret_hours": ["Choose one of: 0, 1, 24, 168."]},
            ),
            401: UNAUTHENTICATED,
            403: refusal(
                "The calling token has a lower role than this one, or shows its old secret",
                message="You act with the old secret of this API token. Rotate it with the new "
                "one, or ask an Administrator to rotate it.",
            ),
            404: _NO_TOKEN,
        },
    )


def _end_old_secret(version: _Version) -> Any:
    return extend_schema(
        operation_id=f"end_old_secret{version.suffix}",
        summary="End the old secret of an API token",
        description="The secret that the token had before it was rotated stops now. The new one "
        "keeps working.",
        tags=[version.tag],
        parameters=[ACCOUNT_ID, _TOKEN_ID],
        responses={
            204: OpenApiResponse(description="No old secret works now"),
            401: UNAUTHENTICATED,
            403: refusal(
                "The calling token has a lower role than this one",
                message="You do not have permission to rotate this API token.",
            ),
            404: _NO_TOKEN,
        },
    )


TOKENS_V1 = extend_schema_view(get=_list(_V1), post=_create(_V1))
TOKENS_V2 = extend_schema_view(get=_list(_V2), post=_create(_V2))
TOKEN_V1 = extend_schema_view(get=_get(_V1), patch=_edit(_V1), delete=_delete(_V1))
TOKEN_V2 = extend_schema_view(get=_get(_V2), patch=_edit(_V2), delete=_delete(_V2))
ROTATE_V1 = extend_schema_view(post=_rotate(_V1))
ROTATE_V2 = extend_schema_view(post=_rotate(_V2))
OLD_SECRET_V1 = extend_schema_view(delete=_end_old_secret(_V1))
OLD_SECRET_V2 = extend_schema_view(delete=_end_old_secret(_V2))
