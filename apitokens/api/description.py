"""What the OpenAPI description says about each call."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from apitokens.api.serializers import IssuedSerializer, NewTokenSerializer, TokenSerializer

TAG = "API tokens"

_TOKEN: dict[str, Any] = {
    "id": 771142358,
    "name": "Cache clearing",
    "description": "Clears the cache after each release.",
    "exp_date": "2027-12-31T23:59:59.000000Z",
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
    },
}
_ASKED = {
    "name": "Cache clearing",
    "description": "Clears the cache after each release.",
    "exp_date": "2027-12-31T23:59:59Z",
    "client_user": {"role": {"id": 3022}},
}


# A refusal. `errors` comes with a 400, nested like the request.
_ERROR = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "message": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": True},
    },
}


def _refusal(description: str, **example: Any) -> OpenApiResponse:
    return OpenApiResponse(
        _ERROR, description, [OpenApiExample(description, example, response_only=True)]
    )


_UNAUTHENTICATED = _refusal(
    "No token, or one that is not good",
    message="Bad permanent token",
    code="unknown",
    hint="There is no such API token.",
)
_NO_ACCOUNT = _refusal("Not an account of this token", message="Account not found.")
_NO_TOKEN = _refusal("No such token, or not yours to see", message="API token not found.")

LIST: dict[str, Any] = {
    "operation_id": "list_api_tokens",
    "summary": "List API tokens",
    "description": "Administrators get all API tokens of the account, others those they issued.",
    "tags": [TAG],
    "parameters": [
        OpenApiParameter(
            "role", str, description="Only tokens with this role: its id or its name."
        ),
        OpenApiParameter(
            "issued_by", int, description="Only tokens issued by the user with this id."
        ),
        OpenApiParameter(
            "not_issued_by", int, description="Only tokens issued by anybody but this user."
        ),
        OpenApiParameter(
            "deleted", bool, description="True for deleted tokens; otherwise those not deleted."
        ),
    ],
    "responses": {
        200: OpenApiResponse(
            TokenSerializer(many=True),
            "The tokens, oldest first",
            [OpenApiExample("Tokens", [_TOKEN], response_only=True)],
        ),
        401: _UNAUTHENTICATED,
        404: _NO_ACCOUNT,
    },
}
CREATE: dict[str, Any] = {
    "operation_id": "create_api_token",
    "summary": "Create an API token",
    "description": "The answer holds the token itself, this once: it is not stored. Its role is "
    "equal to or lower than yours, and nothing that a token creates outlives it.",
    "tags": [TAG],
    "request": NewTokenSerializer,
    "examples": [OpenApiExample("New token", _ASKED, request_only=True)],
    "responses": {
        200: OpenApiResponse(
            IssuedSerializer,
            "The new token",
            [
                OpenApiExample(
                    "Created",
                    {**_TOKEN, "token": "771142358$<72 hexadecimal digits>"},
                    response_only=True,
                )
            ],
        ),
        400: _refusal(
            "Something in the request is not valid; nothing was created",
            message="The request is not valid: see errors.",
            errors={"client_user": {"role": ["Can't create token with role Administrators"]}},
        ),
        401: _UNAUTHENTICATED,
        404: _NO_ACCOUNT,
    },
}
GET: dict[str, Any] = {
    "operation_id": "get_api_token",
    "summary": "Get an API token",
    "tags": [TAG],
    "responses": {
        200: OpenApiResponse(
            TokenSerializer, "The token", [OpenApiExample("Token", _TOKEN, response_only=True)]
        ),
        401: _UNAUTHENTICATED,
        404: _NO_TOKEN,
    },
}
DELETE: dict[str, Any] = {
    "operation_id": "delete_api_token",
    "summary": "Delete an API token",
    "description": "The token stops at once. Whatever uses it loses access; this cannot be undone.",
    "tags": [TAG],
    "responses": {
        204: OpenApiResponse(description="Deleted"),
        401: _UNAUTHENTICATED,
        403: _refusal(
            "The calling token has a weaker role than this one",
            message="You do not have permission to delete this API token.",
        ),
        404: _NO_TOKEN,
    },
}
V2: dict[str, Any] = {}
