"""Parts of the OpenAPI description that several operations share: answers, refusals, examples."""

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
)


def or_empty(schema: dict[str, Any], *also: str) -> dict[str, Any]:
    """The schema of a parameter that may be sent empty, which is as if it were left out."""
    return {"oneOf": [schema, {"type": "string", "enum": ["", *also]}]}


PEOPLE, AUTHORIZATION = "Account and users", "Standard authorization"

OAUTH_ERROR = "For introspection: an error code of RFC 6749."
ERROR: dict[str, Any] = {
    "type": "object",
    "description": "An error. `code` is stable; `hint` says what to do. `errors` comes with a "
    "400 (and with a 415 of introspection), nested like the request; errors that belong to no "
    "field are listed under `errors` in it.",
    "required": ["message"],
    "properties": {
        "error": {"type": "string", "description": OAUTH_ERROR},
        "message": {"type": "string"},
        "code": {"type": "string"},
        "hint": {"type": "string"},
        "scope": {"type": "string", "description": "With scope_missing: the scope."},
        "errors": {"type": "object", "additionalProperties": True},
    },
}
_ERROR = {"$ref": "#/components/schemas/Error"}


def refusal(description: str, **example: Any) -> OpenApiResponse:
    return OpenApiResponse(
        _ERROR,
        description,
        [OpenApiExample(description.split(",")[0], example, response_only=True)],
    )


def answer(serializer: Any, description: str, body: Any) -> OpenApiResponse:
    """A successful answer, with an example."""
    return OpenApiResponse(
        serializer, description, [OpenApiExample(description, body, response_only=True)]
    )


def listed(
    name: str, entry: Any, page: Any, description: str, example: dict[str, Any]
) -> OpenApiResponse:
    """A list that is an array of entries, or one page of it."""
    first = {"count": 2, "next": None, "previous": None, "results": [example]}
    return OpenApiResponse(
        PolymorphicProxySerializer(
            name, [entry(many=True), page], resource_type_field_name=None, many=False
        ),
        description,
        [
            OpenApiExample("Without limit and offset", [example], response_only=True),
            OpenApiExample("With limit or offset", first, response_only=True),
        ],
    )


def example(name: str, body: dict[str, Any]) -> OpenApiExample:
    """A valid request."""
    return OpenApiExample(name, body, request_only=True)


def invalid(description: str, **errors: Any) -> OpenApiResponse:
    return refusal(description, message="The request is not valid: see errors.", errors=errors)


UNAUTHENTICATED = refusal(
    "Missing or invalid token",
    message="Bad permanent token",
    code="unknown",
    hint="This API token doesn't exist.",
)
TOO_MANY = refusal(
    "Too many attempts; see the Retry-After header",
    message="Too many attempts. Try again in 42 seconds.",
)
TOO_BUSY = refusal(
    "Too many people are signing in right now; see the Retry-After header",
    message="Too many people are signing in right now. Try again in a second.",
)
NO_ACCOUNT = refusal("Not your account", message="Account not found.")
NO_USER = refusal("No such user, or you may not see them", message="User not found.")

ACCOUNT_ID = OpenApiParameter(
    "client_id", int, OpenApiParameter.PATH, description="Your account's ID: see Get my account."
)
USER_ID = OpenApiParameter("user_id", int, OpenApiParameter.PATH, description="The user's ID.")

USER: dict[str, Any] = {
    "id": 612402195,
    "email": "maria@example.com",
    "name": "Maria Okafor",
    "lang": "en",
    "phone": "+49 30 901820",
    "company": "Example Inc.",
    "reseller": 0,
    "client": 1,
    "deleted": False,
    "groups": [{"id": 2, "name": "Users"}],
    "activated": True,
    "sso_auth": False,
    "two_fa": True,
    "auth_types": ["password"],
    "user_type": "common",
    "is_active": True,
    "client_and_roles": [
        {
            "client_id": 1,
            "client_company_name": "Example Inc.",
            "user_id": 612402195,
            "user_roles": ["2"],
        }
    ],
}
USERS = {
    "count": 57,
    "next": "/iam/users?limit=1&offset=2",
    "previous": "/iam/users?limit=1&offset=0",
    "results": [USER],
}
SIGN_INS = {
    "count": 57,
    "next": "/iam/activity_log/logins?limit=1&offset=1",
    "previous": None,
    "result": [
        {
            "id": 4711,
            "login_at": "2026-11-23T09:30:00.000000Z",
            "ip_address": "192.0.2.7",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
            "is_successful": True,
            "auth_type": "password",
            "user": 612402195,
        }
    ],
}
PAIR = {"access": "<access token>", "refresh": "<refresh token>"}
