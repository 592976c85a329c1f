"""Answers of `/iam/auth/verify`, in parts that any server can send.

The view and the fast path in front of Django (`config.fast_path`) answer alike, because both
call `answer_requirement`.
"""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from email.header import Header
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from accounts.api.refusals import BAD_REQUEST, FORBIDDEN, MISSING, throttled_body
from accounts.roles import Role
from accounts.throttling.process_counters import TooMany
from accounts.validators import is_integer, parse_id
from apitokens.scopes.words import MOST_SCOPES, is_scope
from apitokens.verification.authorization_header import verify_header
from apitokens.verification.refusals import (
    BEARER,
    ENDED_BEARER,
    Insufficient,
    Refusal,
    Refused,
    Requirement,
    Verified,
)
from apitokens.verification.verify import verify

MOST_PARAMETERS = 20
ALLOWED = "role, account and scope"

# The sentences of the wire; `code` and `hint` beside them say more.
BAD = "Bad permanent token"
ENDED = "Token is invalid or expired"
ERROR = "X-Auth-Error"
"""The header with the code of a 401 or 403."""
GOOD, INACTIVE = "good", "inactive"
"""Results that have no code. Of introspection nobody is told why a token is not good."""
_BY_STATUS = {429: "too_many", 400: "invalid_request", 413: "invalid_request"}
ALL_SCOPES = "*"
"""In the place of a list: all that the role allows."""


class Answer(NamedTuple):
    """A whole answer, but for what is sent with every answer of the portal."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    result: str = GOOD
    """By which it is counted: good, or the code of the refusal."""


class InvalidRequirement(ValueError):
    """The query does not say what a token is to be good for. `errors` is by parameter."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.errors = errors


def answer(*, authorization: str | None, query: str, at: datetime, address: str | None) -> Answer:
    """Tell whether the token in the header is good for what the query requires."""
    try:
        requirement = read_requirement(query)
    except InvalidRequirement as bad:
        return in_json(400, {"message": BAD_REQUEST, "errors": bad.errors})
    given = answer_requirement(requirement, authorization=authorization, at=at, address=address)
    assert given is not None  # `verify` always knows
    return given


def answer_requirement(
    requirement: Requirement,
    *,
    authorization: str | None,
    at: datetime,
    address: str | None,
    verify: Callable[..., Verified | None] = verify,
) -> Answer | None:
    """Tell whether the token in the header meets the requirement. None if `verify` does so."""
    try:
        found = verify_header(
            authorization,
            at=at,
            address=address,
            requirement=requirement,
            verify=verify,
            takes_basic=True,
        )
        if found is None:
            return None
    except Refused as refused:
        return _refused(refused.code, refused.why)
    except TooMany as too_many:
        return wait_answer(too_many)
    except Insufficient as reason:
        return _insufficient(reason.code, reason.sentence, reason.scope)
    return _good(found)


def wait_answer(too_many: TooMany) -> Answer:
    """The answer to who comes too often."""
    return in_json(429, throttled_body(too_many), ("Retry-After", str(too_many.retry_after)))


def read_requirement(query: str) -> Requirement:
    """Read `role` (an id or a name), `account` (an id) and `scope` (as often as wanted, or with
    spaces between several). Raises `InvalidRequirement`, also for any other parameter: a slip of
    the pen must not let more people in."""
    errors: dict[str, list[str]] = {}
    asked: dict[str, str] = {}
    scopes: list[str] = []
    for name, value in _parameters(query):
        if name == "scope":
            scopes += value.split(" ")
        elif name not in ("role", "account"):
            errors[name] = [f"Unknown parameter: only {ALLOWED} are allowed."]
        elif name in asked:
            errors[name] = ["Give this parameter once."]
        asked[name] = value
    role, account = Role.find(asked.get("role", "")), asked.get("account", "")
    account_id = parse_id(account) if is_integer(account) else None
    if "role" in asked and role is None:
        errors.setdefault("role", [f"Invalid role: {asked['role']}"])
    if "account" in asked and account_id is None:
        errors.setdefault("account", [f"Invalid account: {asked['account']}"])
    if wrong := _wrong_scopes(scopes):
        errors["scope"] = [wrong]
    if errors:
        raise InvalidRequirement(errors)
    return Requirement(role, account_id, tuple(scopes))


def _wrong_scopes(scopes: list[str]) -> str | None:
    """Whether they exist is not asked here: what nobody has lets in nobody."""
    if len(scopes) > MOST_SCOPES:
        return f"Require at most {MOST_SCOPES} scopes."
    wrong = next((scope for scope in scopes if not is_scope(scope)), None)
    return None if wrong is None else f"Invalid scope: {wrong}"


def _parameters(query: str) -> list[tuple[str, str]]:
    """Raises `InvalidRequirement` for so many that naming each in the answer would make it long."""
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise InvalidRequirement(
            {"errors": [f"Send fewer parameters: only {ALLOWED} are allowed."]}
        ) from None


def error_body(refused: Refused) -> dict[str, str]:
    """The body of a 401."""
    is_bearer = refused.why in (BEARER, ENDED_BEARER)
    is_bad = not is_bearer and refused.code in (Refusal.MALFORMED, Refusal.UNKNOWN)
    message = MISSING if refused.code is Refusal.MISSING else BAD if is_bad else ENDED
    return {"message": message, "code": refused.code, "hint": refused.sentence}


@cache
def _refused(code: Refusal, why: str) -> Answer:
    """A 401, worded once. Proxies hand headers on, and may drop the body."""
    error = "" if code is Refusal.MISSING else f', error="{code}"'
    challenge = ("WWW-Authenticate", f'APIKey realm="permatoken"{error}')
    return in_json(401, error_body(Refused(code, why)), challenge, (ERROR, code.value))


@lru_cache(maxsize=1000)
def _good(found: Verified) -> Answer:
    """Worded once for what is found often. All six headers are always there: some proxies replace
    only those of a client's headers that the answer has."""
    return Answer(
        200,
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", "0"),
            ("Cache-Control", "no-store"),
            ("X-Auth-Token-Id", str(found.token_id or "")),
            ("X-Auth-Account-Id", str(found.account_id)),
            ("X-Auth-User-Id", str(found.user_id)),
            ("X-Auth-User-Email", _in_ascii(found.email)),
            ("X-Auth-Role", found.role.label),
            ("X-Auth-Scopes", ALL_SCOPES if found.scopes is None else found.scopes),
        ],
        b"",
    )


@lru_cache(maxsize=1000)  # callers choose the scopes
def _insufficient(code: str, sentence: str, scope: str) -> Answer:
    body = {"message": FORBIDDEN, "code": code, "hint": sentence}
    if not scope:
        return in_json(403, body, (ERROR, code))
    challenge = f'APIKey realm="permatoken", error="insufficient_scope", scope="{scope}"'
    headers = (("WWW-Authenticate", challenge), (ERROR, code))
    return in_json(403, {**body, "scope": scope}, *headers)


def in_json(status: int, body: dict[str, Any], *headers: tuple[str, str]) -> Answer:
    """An answer that no cache keeps."""
    content = json.dumps(body).encode()
    return Answer(
        status,
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            *headers,
        ],
        content,
        result_of(status, headers),
    )


def result_of(status: int, headers: Iterable[tuple[str, str]]) -> str:
    """The result of an answer that is not 200 is the code in its headers, if there is one."""
    if status == HTTPStatus.OK:
        return GOOD
    code = next((value for name, value in headers if name == ERROR), None)
    return code or _BY_STATUS.get(status, "error" if status >= 500 else "refused")


def _in_ascii(text: str) -> str:
    """A header's value, other alphabets as RFC 2047 has them."""
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=sys.maxsize).encode()
