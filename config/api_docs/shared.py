"""Parts of the OpenAPI description that all calls share: a hook of drf-spectacular adds them."""

from typing import Any

from accounts.api.refusals import HTTPS_REQUIRED, TOO_MANY
from accounts.api.schema import ERROR
from accounts.api.serializers import role_request_schema
from apitokens.api.schema_verify import TAG as VERIFICATION

Schema = dict[str, Any]

_SECONDS: Schema = {
    "description": "Seconds to wait before trying again.",
    "schema": {"type": "integer", "minimum": 1},
}
_CHALLENGE: Schema = {
    "description": "The accepted schemes.",
    "required": True,
    "schema": {"type": "string"},
}
_CHALLENGE_WITH_REASON: Schema = {
    **_CHALLENGE,
    "description": "The accepted scheme and, for a bad token, the reason.",
}
_CODE: Schema = {"description": "With https_required: the code.", "schema": {"type": "string"}}
_NULL: Schema = {"enum": [None], "nullable": True}
"""Null alone. In OpenAPI 3.0.3 `nullable` says nothing where no `type` stands beside it."""


def add_shared_parts(result: Schema, **_facts: Any) -> Schema:
    """Add the schemas of refusals and roles, the answers that each call may give, and headers."""
    components = result["components"]
    components["schemas"]["Error"] = ERROR
    components["schemas"]["RoleRequest"] = role_request_schema()
    components["schemas"]["RefreshRequest"]["anyOf"] = [
        {"required": ["refresh"]},
        {"required": ["token"]},
    ]
    components["responses"] = _ANSWERS
    for schema in components["schemas"].values():
        for described in schema.get("properties", {}).values():
            _let_pattern_decide(described)
            _let_null_in(described)
    result["paths"]["/iam/auth/jwt/refresh"]["post"]["requestBody"]["required"] = True
    for item in result["paths"].values():
        for operation in item.values():
            _complete(operation)
    return result


def _let_pattern_decide(described: Schema) -> None:
    """Take back the alternative "empty", which drf-spectacular adds where blank is allowed: the
    pattern allows it already, and then two of `oneOf` would hold."""
    alternatives = described.get("oneOf", [])
    if alternatives[1:] == [{"type": "string", "maxLength": 0}]:
        del described["oneOf"]
        described |= alternatives[0]


def _let_null_in(described: Schema) -> None:
    """Make null an alternative where drf-spectacular writes `nullable` without a `type`."""
    if "type" in described or not described.pop("nullable", False):
        return
    several = described.pop("allOf", []) + described.pop("oneOf", [])
    described["oneOf"] = [*several, _NULL]


def _complete(operation: Schema) -> None:
    answers = operation["responses"]
    is_verification = operation["tags"] == [VERIFICATION]
    shared = {"400": "UnknownHost", "403": "Forbidden", "429": "TooMany", "503": "Unavailable"}
    if not is_verification:
        shared["406"] = "NotAcceptable"
    if not is_verification or "requestBody" in operation:  # of a proxy's question none is read
        shared |= {"411": "LengthRequired", "413": "TooLarge", "415": "NotThisKind"}
    for status, name in shared.items():
        answers.setdefault(status, {"$ref": f"#/components/responses/{name}"})
    if "401" in answers:
        challenge = _CHALLENGE_WITH_REASON if is_verification else _CHALLENGE
        answers["401"].setdefault("headers", {})["WWW-Authenticate"] = challenge
    if "$ref" not in answers["403"]:
        answers["403"].setdefault("headers", {}).setdefault("X-Auth-Error", _CODE)
    for status in ("429", "503"):
        if "$ref" not in answers[status]:
            answers[status].setdefault("headers", {})["Retry-After"] = _SECONDS
    operation["responses"] = dict(sorted(answers.items()))


def _answer(
    description: str, message: str, *, code: str = "", retry_after: Schema | None = None
) -> Schema:
    example = {"message": message, **({"code": code} if code else {})}
    answer: Schema = {
        "description": description,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {"example": {"value": example}},
            }
        },
    }
    return {**answer, "headers": {"Retry-After": retry_after}} if retry_after else answer


_ANSWERS: Schema = {
    "UnknownHost": _answer(
        "A `Host` that is not the portal's", "We couldn't understand the request."
    ),
    "Forbidden": {
        **_answer(
            "Plain HTTP, where the portal has HTTPS (https_required); or an API token that doesn't "
            "work from this address (address_not_allowed) or is limited to other scopes "
            "(scope_missing)",
            HTTPS_REQUIRED,
            code="https_required",
        ),
        "headers": {"X-Auth-Error": _CODE},
    },
    "TooMany": _answer(
        "Too many rejected requests from this address, or too many with this token",
        TOO_MANY,
        code="too_many",
        retry_after=_SECONDS,
    ),
    "Unavailable": _answer(
        "The portal can't answer right now",
        "The portal is not set up rightly: ask its operators, who find the reason in its log.",
        retry_after={**_SECONDS, "description": "Seconds to wait, if the error is temporary."},
    ),
    "NotAcceptable": _answer(
        "`Accept` without JSON", "Could not satisfy the request Accept header."
    ),
    "LengthRequired": _answer(
        "A body of unknown length",
        "Send the length of the body in the Content-Length header: the body can't be read "
        "without it.",
    ),
    "TooLarge": _answer("A body above 256 KB", "The body is too large."),
    "NotThisKind": _answer(
        "An unsupported content type, or a `Content-Encoding`",
        'Unsupported media type "text/plain" in request.',
    ),
}
