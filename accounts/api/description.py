"""What the OpenAPI description says about refusals, in words that several calls share."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

PEOPLE, AUTHORIZATION = "Account and users", "Standard authorization"

# A refusal. `errors` comes with a 400, nested like the request.
_ERROR = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "message": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": True},
    },
}


def refusal(description: str, **example: Any) -> OpenApiResponse:
    return OpenApiResponse(
        _ERROR,
        description,
        [OpenApiExample(description.split(",")[0], example, response_only=True)],
    )


def example(name: str, body: dict[str, Any]) -> OpenApiExample:
    """A request that would be understood."""
    return OpenApiExample(name, body, request_only=True)


def invalid(description: str, **errors: Any) -> OpenApiResponse:
    return refusal(description, message="The request is not valid: see errors.", errors=errors)


UNAUTHENTICATED = refusal(
    "No token, or one that is not good",
    message="Bad permanent token",
    code="unknown",
    hint="There is no such API token.",
)
TOO_MANY = refusal(
    "Too many tries, see the header Retry-After",
    message="Too many tries. The next is welcome in 42 seconds.",
)
NO_ACCOUNT = refusal("Not your account", message="Account not found.")
NO_USER = refusal("No such user, or not yours to see", message="User not found.")

ACCOUNT_ID = OpenApiParameter(
    "client_id", int, OpenApiParameter.PATH, description="Your account's id: see Get my account."
)
USER_ID = OpenApiParameter("user_id", int, OpenApiParameter.PATH, description="The user's id.")
