"""Settings of drf-spectacular: the head of the OpenAPI description."""

from typing import Any

_DESCRIPTION = (
    "Permanent API tokens, and the people who issue them. Send your API token with every "
    "request, in the header Authorization: APIKey <token>. Or sign in for a token that lasts "
    "an hour, and send Authorization: Bearer <access token>. Beside what is listed with a call, "
    "each may answer 400 under a Host that is not the portal's, 403 over plain HTTP where the "
    "portal has HTTPS, 406 if Accept is without JSON, and 429 or 503 with Retry-After in seconds; "
    "those with a body also 411 (no length), 413 (above 256 KB) and 415 (not JSON, or "
    "with a Content-Encoding)."
)

_TAGS = [
    {
        "name": "API tokens, v2",
        "description": "New tokens are spelled with an underscore, which every shell leaves "
        "alone. Use these addresses for new work.",
    },
    {
        "name": "API tokens",
        "description": "The same calls; new tokens are spelled with a dollar sign. Both "
        "spellings of a token are always accepted.",
    },
    {
        "name": "Account and users",
        "description": "The account that you work in, its people and their sign-ins. "
        "Administrators look after everybody, others see themselves.",
    },
    {
        "name": "Standard authorization",
        "description": "Sign in with e-mail and password for an access token, good for an "
        "hour, and a refresh token, good for a day and once. For programs that run "
        "unattended, an API token is the better choice.",
    },
    {
        "name": "Verification",
        "description": "Other systems ask whether a token is good, and for what.",
    },
]


def spectacular_settings(*, base_url: str) -> dict[str, Any]:
    """The value of `SPECTACULAR_SETTINGS`."""
    return {
        "TITLE": "Permatoken API",
        "VERSION": "1.0.0",
        "DESCRIPTION": _DESCRIPTION,
        "OAS_VERSION": "3.0.3",
        "SERVE_INCLUDE_SCHEMA": False,
        "SCHEMA_PATH_PREFIX": r"/iam",
        "SERVERS": [{"url": base_url}],
        "ENUM_NAME_OVERRIDES": {"RoleName": "accounts.roles.ROLE_NAMES"},
        "COMPONENT_SPLIT_REQUEST": True,
        "POSTPROCESSING_HOOKS": [
            "drf_spectacular.hooks.postprocess_schema_enums",
            "apitokens.api.schema_verify.add_verification",
            "config.api_docs.shared.add_shared_parts",
        ],
        "TAGS": _TAGS,
    }
