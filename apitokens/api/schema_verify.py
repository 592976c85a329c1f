"""The OpenAPI description of verification. Its views are not REST framework's."""

from typing import Any

from accounts.api.refusals import BAD_REQUEST, FORBIDDEN
from apitokens.api.introspect import BAD_CALLER, FORM
from apitokens.api.responses import BAD

TAG = "Verification"

_TEXT = {"type": "string"}


def add_verification(result: dict[str, Any], **_facts: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: adds the two calls by which other systems ask about tokens."""
    result["paths"]["/iam/auth/verify"] = {"get": _verify("get"), "post": _verify("post")}
    result["paths"]["/iam/auth/introspect"] = {"post": _INTROSPECT}
    result["components"]["securitySchemes"]["VerifierKey"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "A verifier key, which operators of the portal make. It may also be the "
        "password of Basic.",
    }
    return result


def _answer(description: str, **example: Any) -> dict[str, Any]:
    if not example:
        return {"description": description}
    examples = {"example": {"value": example}}
    schema = {"type": "object", "additionalProperties": True}
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"description": description, "content": content}


def _verify(method: str) -> dict[str, Any]:
    headers = ("X-Auth-Token-Id", "X-Auth-Account-Id", "X-Auth-User-Id", "X-Auth-User-Email")
    good = _answer("The token is good for this; the headers say whose it is")
    good["headers"] = {name: {"schema": _TEXT} for name in (*headers, "X-Auth-Role")}
    return {
        "operationId": f"verify_token_by_{method}",
        "summary": "Verify the token of a request",
        "description": "For reverse proxies, which hand on the Authorization header of a request "
        "that they hold. All methods are alike; no body is looked at. 401 and 403 have their code "
        "in the header X-Auth-Error too.",
        "tags": [TAG],
        "parameters": [
            {
                "name": "role",
                "in": "query",
                "schema": _TEXT,
                "description": "The least role that is enough: its id or its name.",
            },
            {
                "name": "account",
                "in": "query",
                "schema": {"type": "integer"},
                "description": "The account that the token must belong to.",
            },
        ],
        "security": [{"APIKey": []}, {"Bearer": []}],
        "responses": {
            "200": good,
            "400": _answer(
                "The query makes no sense; nobody is let in",
                message=BAD_REQUEST,
                errors={"role": ["Invalid role: Admin"]},
            ),
            "401": _answer(
                "No token, or one that is not good; WWW-Authenticate has the code too",
                message=BAD,
                code="unknown",
                hint="There is no such API token.",
            ),
            "403": _answer(
                "The token is good, but not for this",
                message=FORBIDDEN,
                code="role_too_low",
                hint="The API token's role is too low for this. Use one with a higher role.",
            ),
            "429": _answer("Too many refused or too frequent tokens; see Retry-After"),
        },
    }


_INTROSPECT: dict[str, Any] = {
    "operationId": "introspect_token",
    "summary": "Introspect a token",
    "description": "For resource servers that were sent a token (RFC 7662). The caller shows a "
    "verifier key of its own.",
    "tags": [TAG],
    "security": [{"VerifierKey": []}],
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["token"],
                    "properties": {
                        "token": {**_TEXT, "description": "The token that you were sent."},
                        "token_type_hint": {**_TEXT, "description": "Not looked at."},
                        "client_secret": {
                            **_TEXT,
                            "description": "The verifier key, if no header has it.",
                        },
                    },
                },
                "examples": {"example": {"value": {"token": "771142358_<72 hexadecimal digits>"}}},
            }
        },
    },
    "responses": {
        "200": _answer(
            'What the token is good for; only {"active": false} if it is not good',
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
            "No token in the form, several, or one in the address",
            error="invalid_request",
            message=BAD_REQUEST,
            errors={"token": ["Send the token that you ask about in the field token, once."]},
        ),
        "401": _answer(
            "No verifier key, or one that is not good",
            error="invalid_client",
            message=BAD_CALLER,
            code="unknown",
            hint="There is no such verifier key.",
        ),
        "415": _answer("The body is no form"),
        "429": _answer("Too many refused keys or too frequent tokens; see Retry-After"),
    },
}
