"""The OpenAPI description of verification. Its views are not REST framework's."""

from typing import Any

from accounts.api.refusals import BAD_REQUEST, FORBIDDEN
from accounts.api.schema import OAUTH_ERROR
from accounts.api.serializers import ROLE_IDS
from accounts.email_addresses import SURROUNDING
from accounts.roles import ROLE_NAMES
from accounts.validators import HIGHEST_ID
from apitokens.addresses.rules import MOST as MOST_ADDRESSES
from apitokens.api.introspect import BAD_CALLER, FORM
from apitokens.api.introspect_batch import MOST, WHAT_TO_SEND
from apitokens.api.responses import BAD
from apitokens.scopes.words import MOST_SCOPES, PATTERN

TAG = "Verification"

METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
_TEXT = {"type": "string"}
_COPIED_ALONG = "".join(f"\\u{ord(character):04x}" for character in SURROUNDING)
_TOKEN = {**_TEXT, "pattern": f"[^{_COPIED_ALONG}]"}
"""Text that is not empty without what is copied along with a token."""
_ID = {"type": "integer", "format": "int64", "minimum": 0, "maximum": HIGHEST_ID}
_CLIENT_ADDRESS = {
    **_TEXT,
    "minLength": 1,
    "description": "The IP address of the client that sent you the token, for a token that works "
    "from some addresses only.",
}
_SCOPES = {
    "type": "string",
    "pattern": f"{PATTERN[:-1]}( {PATTERN[1:-1]}){{0,{MOST_SCOPES - 1}}}$",
    "example": "cdn:purge",
}
_DIGITS = {"type": "string", "pattern": "^[0-9]+$"}


def add_verification(result: dict[str, Any], **_facts: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: adds the two calls by which other systems ask about tokens."""
    result["paths"]["/iam/auth/verify"] = {method: _verify(method) for method in METHODS}
    result["paths"]["/iam/auth/introspect"] = {"post": _introspect()}
    result["paths"]["/iam/auth/introspect/batch"] = {"post": _introspect_batch()}
    result["components"]["securitySchemes"] |= {
        "Basic": {
            "type": "http",
            "scheme": "basic",
            "description": "The token, or the verifier key, as the password. A token may also be "
            "the user name, without a password.",
        },
        "VerifierKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A verifier key, created by operators of the portal.",
        },
    }
    result["components"]["schemas"] |= {
        "Introspection": _INTROSPECTION,
        "Introspections": _INTROSPECTIONS,
        "TokenRefusal": _REFUSAL,
    }
    return result


_REFUSAL: dict[str, Any] = {
    "type": "object",
    "description": "Why a token or a verifier key is invalid or not sufficient.",
    "required": ["message", "code"],
    "properties": {
        "error": {**_TEXT, "description": OAUTH_ERROR},
        "message": _TEXT,
        "code": {
            **_TEXT,
            "description": "Stable; for verification also in the header X-Auth-Error.",
        },
        "hint": _TEXT,
        "scope": {**_TEXT, "description": "With scope_missing: the scope."},
    },
}
_INTROSPECTION: dict[str, Any] = {
    "oneOf": [
        {
            "type": "object",
            "required": ["active"],
            "properties": {"active": {"type": "boolean", "enum": [False]}},
            "additionalProperties": False,
        },
        {
            "type": "object",
            "required": [
                *("active", "token_type", "iss", "sub", "username", "client_id"),
                *("role", "account"),
            ],
            "properties": {
                "active": {"type": "boolean", "enum": [True]},
                "token_type": {"type": "string", "enum": ["APIKey", "Bearer"]},
                "iss": {"type": "string", "format": "uri"},
                "sub": _DIGITS,
                "username": {"type": "string", "format": "email"},
                "client_id": _DIGITS,
                "role": {"$ref": "#/components/schemas/Role"},
                "account": {"type": "integer"},
                "jti": {**_DIGITS, "description": "For an API token: its ID."},
                "iat": {"type": "integer"},
                "exp": {"type": "integer", "description": "Omitted if it never expires."},
                "scope": {
                    **_TEXT,
                    "description": "What it is limited to, with spaces between scopes; omitted if "
                    "it can do all that its role allows. With a verifier key that is bound to a "
                    "service, only the scopes of that.",
                },
                "allowed_addresses": {
                    "type": "array",
                    "items": _TEXT,
                    "minItems": 1,
                    "maxItems": MOST_ADDRESSES,
                    "description": "The addresses and networks that it works from; omitted if it "
                    "works from everywhere. Without client_address in the request, compare it with "
                    "the client's address yourself.",
                },
            },
            "additionalProperties": False,
        },
    ]
}

_TOO_OFTEN: dict[str, Any] = {
    "type": "object",
    "description": "The token is used too often: alone it would get a 429.",
    "required": ["message", "code", "hint", "retry_after"],
    "properties": {
        "message": _TEXT,
        "code": {**_TEXT, "enum": ["too_many"]},
        "hint": _TEXT,
        "retry_after": {"type": "integer", "description": "Seconds to wait."},
    },
    "additionalProperties": False,
}
_INTROSPECTIONS: dict[str, Any] = {
    "type": "array",
    "description": "For each token what the introspection of it alone would answer, in their "
    "order.",
    "minItems": 1,
    "maxItems": MOST,
    "items": {"anyOf": [{"$ref": "#/components/schemas/Introspection"}, _TOO_OFTEN]},
}


def _answer(description: str, schema: str, **example: Any) -> dict[str, Any]:
    content = {
        "schema": {"$ref": f"#/components/schemas/{schema}"},
        "examples": {"example": {"value": example}},
    }
    return {"description": description, "content": {"application/json": content}}


def _refusal(description: str, **example: Any) -> dict[str, Any]:
    """A 401 or 403 of verification."""
    code = {"description": "The code.", "required": True, "schema": _TEXT}
    return {**_answer(description, "TokenRefusal", **example), "headers": {"X-Auth-Error": code}}


def _forbidden(description: str, **example: Any) -> dict[str, Any]:
    """A 403 of verification. Only that of a missing scope has a challenge (RFC 6750, 3.1)."""
    answer = _refusal(description, **example)
    challenge = {"description": "With scope_missing: names the scope.", "schema": _TEXT}
    return {**answer, "headers": {**answer["headers"], "WWW-Authenticate": challenge}}


def _good() -> dict[str, Any]:
    headers = {
        "X-Auth-Token-Id": ("Empty for a short-lived token.", {**_TEXT, "pattern": "^[0-9]*$"}),
        "X-Auth-Account-Id": ("The account of the token.", _DIGITS),
        "X-Auth-User-Id": ("The user who issued it or signed in.", _DIGITS),
        "X-Auth-User-Email": (
            "Their email address; other alphabets are encoded as in RFC 2047.",
            _TEXT,
        ),
        "X-Auth-Role": ("What it can do.", {**_TEXT, "enum": ROLE_NAMES}),
        "X-Auth-Scopes": (
            "What it is limited to, with spaces between scopes; `*` for all that the role allows.",
            _TEXT,
        ),
    }
    return {
        "description": "The token is valid; the headers say whose it is. The body is empty",
        "headers": {
            name: {"description": text, "required": True, "schema": schema}
            for name, (text, schema) in headers.items()
        },
        "content": {"text/plain": {"schema": {**_TEXT, "maxLength": 0}}},
    }


def _verify(method: str) -> dict[str, Any]:
    return {
        **({} if method == "get" else {"x-same-as": "get"}),
        "operationId": f"verify_token_by_{method}",
        "summary": "Verify the token of a request",
        "description": "For reverse proxies that forward the Authorization header of a request. "
        "All methods behave the same; the body is ignored. 401 and 403 also carry "
        "their code in the X-Auth-Error header.",
        "tags": [TAG],
        "parameters": [
            {
                "name": "role",
                "in": "query",
                "schema": {**_TEXT, "enum": [*ROLE_IDS, *ROLE_NAMES]},
                "description": "The minimum role required, by ID or name.",
            },
            {
                "name": "account",
                "in": "query",
                "schema": _ID,
                "description": "The account that the token must belong to.",
            },
            {
                "name": "scope",
                "in": "query",
                "schema": _SCOPES,
                "description": "The scopes that the token must have, all of them: with spaces "
                "between them, or the parameter once for each.",
            },
        ],
        "security": [{"APIKey": []}, {"Bearer": []}, {"Basic": []}],
        "responses": {
            "200": _good(),
            "400": _answer(
                "Invalid query; access is denied",
                "Error",
                message=BAD_REQUEST,
                errors={"role": ["Invalid role: Admin"]},
            ),
            "401": _refusal(
                "Missing or invalid token; WWW-Authenticate also carries the code",
                message=BAD,
                code="unknown",
                hint="This API token doesn't exist.",
            ),
            "403": _forbidden(
                "The token is valid but doesn't allow this, or not from this address "
                "(address_not_allowed)",
                message=FORBIDDEN,
                code="role_too_low",
                hint="The API token's role is too low for this. Use one with a higher role.",
            ),
        },
    }


def _introspect() -> dict[str, Any]:
    return {
        "operationId": "introspect_token",
        "summary": "Introspect a token",
        "description": "For resource servers that received a token (RFC 7662). The caller "
        "authenticates with its own verifier key.",
        "tags": [TAG],
        "security": [{"VerifierKey": []}, {"Basic": []}, {}],
        "requestBody": {
            "required": True,
            "content": {
                FORM: {
                    "schema": {
                        "type": "object",
                        "required": ["token"],
                        "properties": {
                            "token": {
                                **_TOKEN,
                                "description": "The token you received.",
                            },
                            "token_type_hint": {**_TEXT, "description": "Ignored."},
                            "client_address": _CLIENT_ADDRESS,
                            "client_secret": {
                                **_TEXT,
                                "description": "The verifier key, if it isn't sent in a header.",
                            },
                        },
                    },
                    "examples": {
                        "example": {"value": {"token": "771142358_<72 hexadecimal digits>"}}
                    },
                }
            },
        },
        "responses": {
            "200": _answer(
                'What the token allows; only {"active": false} if it is invalid',
                "Introspection",
                active=True,
                token_type="APIKey",  # noqa: S106  # a word of RFC 7662
                iss="https://tokens.example.com",
                jti="771142358",
                sub="12",
                username="maria@example.com",
                client_id="1",
                iat=1795478536,
                exp=1827014536,
                role={"id": 3022, "name": "Purge and Prefetch only (API)"},
                account=1,
            ),
            "400": _answer(
                "No token in the form, several, or one in the URL; or a bad client_address",
                "Error",
                error="invalid_request",
                message=BAD_REQUEST,
                errors={"token": ["Send the token to check in the field token, once."]},
            ),
            "401": _answer(
                "Missing or invalid verifier key",
                "TokenRefusal",
                error="invalid_client",
                message=BAD_CALLER,
                code="unknown",
                hint="This verifier key doesn't exist.",
            ),
            "415": _answer(
                "The body is not a form, or has a `Content-Encoding`",
                "Error",
                error="invalid_request",
                message=BAD_REQUEST,
                errors={"token": [f"Send the field token as a form, with Content-Type: {FORM}."]},
            ),
        },
    }


def _introspect_batch() -> dict[str, Any]:
    alone = _introspect()
    good = {
        "schema": {"$ref": "#/components/schemas/Introspections"},
        "examples": {"example": {"value": [{"active": False}]}},
    }
    with_address = {
        "type": "object",
        "required": ["token"],
        "properties": {"token": _TOKEN, "client_address": _CLIENT_ADDRESS},
        "additionalProperties": False,
    }
    item = {"oneOf": [_TOKEN, with_address]}
    tokens = {"type": "array", "items": item, "minItems": 1, "maxItems": MOST}
    return {
        "operationId": "introspect_tokens",
        "summary": "Introspect many tokens",
        "description": f"For gateways that warm up: up to {MOST} tokens in a request. Each is "
        "answered, counted and limited as if it had been sent alone.",
        "tags": [TAG],
        "security": [{"VerifierKey": []}, {"Basic": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": tokens,
                    "examples": {"example": {"value": ["771142358_<72 hexadecimal digits>"]}},
                }
            },
        },
        "responses": {
            "200": {
                "description": "What each token allows, in the order of the question",
                "content": {"application/json": good},
            },
            "400": _wrong("The body is no such array, or the address has a query"),
            "401": alone["responses"]["401"],
            "415": _wrong("The body is not JSON, or has a `Content-Encoding`"),
        },
    }


def _wrong(description: str) -> dict[str, Any]:
    return _answer(
        description,
        "Error",
        error="invalid_request",
        message=BAD_REQUEST,
        errors={"tokens": [WHAT_TO_SEND]},
    )
