"""Settings of drf-spectacular: the head of the OpenAPI description."""

from typing import Any

_DESCRIPTION = (
    "Permanent API tokens, and the people who issue them. Send your API token with every "
    "request, in the header Authorization: APIKey <token>. Or sign in for a token that is valid "
    "for an hour, and send Authorization: Bearer <access token>. In addition to the listed "
    "responses, every call can return 400 if the Host is not the portal's, 403 over plain HTTP "
    "where the portal has HTTPS, from an address that the token doesn't work from (with the code "
    "address_not_allowed) or (scope_missing) if the token is limited to other scopes: reading "
    "tokens needs tokens:read, all else about them tokens:write; so with users:read and "
    "users:write for the account, its users and service accounts, and audit:read for sign-ins; "
    "406 if Accept doesn't include JSON, and 429 or 503 with Retry-After in seconds; and, with a "
    "body, also 411 (no length), 413 (above 256 KB) and 415 (not JSON, or with a "
    "Content-Encoding)."
)

_TAGS = [
    {
        "name": "API tokens, v2",
        "description": "New tokens use an underscore, which shells don't interpret. Use these "
        "endpoints for new integrations.",
    },
    {
        "name": "API tokens",
        "description": "The same calls, but new tokens use a dollar sign. Both forms of a token "
        "are always accepted.",
    },
    {
        "name": "Account and users",
        "description": "Your current account, its users and their sign-ins. Administrators "
        "manage all users; others see only themselves.",
    },
    {
        "name": "Service accounts",
        "description": "Issuers of API tokens that are no person, so that a token doesn't end "
        "with someone's membership. Administrators manage them.",
    },
    {
        "name": "Services and scopes",
        "description": "Systems that API tokens are used at, and what a token can be limited to "
        "there.",
    },
    {
        "name": "Standard authorization",
        "description": "Sign in with email and password to get an access token, valid for an "
        "hour, and a refresh token, valid once within a day. For unattended "
        "programs, use an API token instead.",
    },
    {
        "name": "Verification",
        "description": "For other systems: check whether a token is valid and what it allows.",
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
