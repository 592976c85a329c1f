"""`/iam/auth/introspect` (RFC 7662): a resource server asks about a token that it was sent.

The server shows a verifier key of its own: as a Bearer token, as the password of Basic (or as the
user name without one), or in the form's field `client_secret` (RFC 6749, 2.3.1). In Basic it may be
form-encoded, as that says, or not, as many do: no key has a `%` in it. Of whatever is not good it
is told `{"active": false}` and nothing more.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache, partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from accounts.api.refusals import BAD_REQUEST, MISSING
from accounts.email_addresses import SURROUNDING
from accounts.http.client_ip import client_address, parse_address
from accounts.throttling import process_counters
from accounts.throttling.process_counters import TooMany
from apitokens import keys
from apitokens.api.responses import INACTIVE, Answer, in_json, wait_answer
from apitokens.api.verify import as_response, not_allowed, note
from apitokens.verification.authorization_header import token_in_basic, verify_bearer
from apitokens.verification.refusals import (
    Insufficient,
    Refusal,
    Refused,
    Requirement,
    Verified,
    of_service,
)
from apitokens.verification.verifier_keys import Verifier, authenticate_verifier
from apitokens.verification.verify import verify

BAD_CALLER = "Bad verifier key"
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 20
KEY_BEGINS = re.compile(keys.VERIFIER)
Fields = dict[str, list[str]]
IN_THE_ADDRESS = (
    "Send the token in the body: addresses end up in logs. Anyone who can read those logs now "
    "has this token."
)


CLIENT_ADDRESS = "Send the address of the client once, like 203.0.113.7 or 2001:db8::7."
verify_for_others = partial(verify, by_client=False)


class BadQuestion(ValueError):
    """The request cannot be understood: `sentence` says what to send."""

    def __init__(self, status: int, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.field = field


@csrf_exempt
@sensitive_variables()
def introspect(request: HttpRequest) -> HttpResponse:
    """Describe the token in the form's field `token`, to a known verifier only."""
    if request.method != "POST":
        return not_allowed(request, ("POST",))
    at = timezone.now()
    try:
        if header := request.META.get("HTTP_AUTHORIZATION"):
            caller = _authenticate_caller(request, shown_in_header(header), at=at)
            fields = _fields(request)
            _refuse_two_ways(fields)
        else:
            fields = _fields(request) if _is_form(request) else {}
            caller = _authenticate_caller(request, _shown_in_form(fields), at=at)
        token, address = _asked_token(request, fields), _asked_address(fields)
        given = describe(token, sees=caller.sees, at=at, address=address)
        assert given is not None  # `verify` always knows
        return as_response(given, request)
    except (Refused, TooMany, BadQuestion) as refusal:
        return refusal_answer(request, refusal)


@sensitive_variables()
def authenticate_by_header(request: HttpRequest, *, at: datetime) -> Verifier:
    """The verifier key in the header. Raises `Refused`, or `TooMany`, if there is none."""
    shown = shown_in_header(request.META.get("HTTP_AUTHORIZATION") or "")
    return _authenticate_caller(request, shown, at=at)


def refusal_answer(
    request: HttpRequest, refusal: Refused | TooMany | BadQuestion, *, field: str = "token"
) -> HttpResponse:
    """The answer to a caller that is not known, comes too often, or asks wrongly."""
    if isinstance(refusal, Refused):
        return _refused(request, refusal)
    if isinstance(refusal, TooMany):
        return as_response(wait_answer(refusal), request)
    errors = {refusal.field or field: [refusal.sentence]}
    body = {"error": "invalid_request", "message": BAD_REQUEST, "errors": errors}
    return as_response(in_json(refusal.status, body), request)


def shown_in_header(header: str) -> str:
    """The text that is shown as a verifier key. Raises `Refused`."""
    scheme, _space, text = header.replace("\t", " ").strip().partition(" ")
    if scheme.lower() == "basic":
        return _key_in_basic(text.strip())
    if scheme.lower() != "bearer":
        raise Refused(Refusal.MISSING, "verifier_missing")
    return text.strip()


@sensitive_variables()
def _shown_in_form(fields: Fields) -> str:
    """As `shown_in_header`, from the form; `client_id` beside it is not looked at."""
    shown = fields.get("client_secret", [])
    if len(shown) != 1:
        raise Refused(Refusal.MISSING, "verifier_missing")
    return shown[0].strip(SURROUNDING)


def _refuse_two_ways(fields: Fields) -> None:
    """A client may show itself in one way only (RFC 6749, 2.3)."""
    if "client_secret" in fields:
        raise BadQuestion(400, "Send your verifier key once: in the header or in the form.")


@sensitive_variables()
def _authenticate_caller(request: HttpRequest, presented: str, *, at: datetime) -> Verifier:
    """Raises `Refused` unless this is a verifier key."""
    address = client_address(request)
    try:
        return authenticate_verifier(presented=presented, at=at, address=address)
    except Refused as refused:
        if refused.is_guess:
            process_counters.count_refusal(address, at=at)
        raise


@sensitive_variables()
def _key_in_basic(encoded: str) -> str:
    """The verifier key in Basic credentials; empty if there is none, which is malformed."""
    try:
        return token_in_basic(encoded, begins=KEY_BEGINS, decode=unquote)
    except Refused:
        return ""


def _is_form(request: HttpRequest) -> bool:
    return request.content_type == FORM


@sensitive_variables()
def _fields(request: HttpRequest) -> Fields:
    """The fields of the form. Raises `BadQuestion`."""
    if not _is_form(request):
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        raise BadQuestion(status, f"Send the field token as a form, with Content-Type: {FORM}.")
    try:
        text = request.body.removeprefix(BOM_UTF8).decode(errors="replace")
        return parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        sentence = "Send fewer fields: only token and client_address are used."
        raise BadQuestion(400, sentence) from None


@sensitive_variables()
def _asked_token(request: HttpRequest, fields: Fields) -> str:
    """The one field `token` of the form. Raises `BadQuestion`."""
    if request.META.get("QUERY_STRING"):
        raise BadQuestion(400, IN_THE_ADDRESS)
    tokens = fields.get("token", [])
    token = alone(tokens[0]) if len(tokens) == 1 else ""
    if not token:
        raise BadQuestion(400, "Send the token to check in the field token, once.")
    return token


def alone(text: str) -> str:
    """The token without what was copied along with it; empty if there is none."""
    return text.strip(SURROUNDING)


def _asked_address(fields: Fields) -> str | None:
    """The field `client_address` of the form, if there is one. Raises `BadQuestion`."""
    sent = fields.get("client_address", [])
    if not sent:
        return None
    return read_client_address(sent[0] if len(sent) == 1 else None)


def read_client_address(text: object) -> str:
    """The address of the client that a resource server names, in any form that a proxy may forward
    it in. Raises `BadQuestion`: what cannot be read must not count as left out."""
    address = parse_address(text) if isinstance(text, str) else None
    if address is None:
        raise BadQuestion(400, CLIENT_ADDRESS, "client_address")
    return address


def describe(
    token: str,
    *,
    sees: Requirement | None = None,
    at: datetime,
    address: str | None = None,
    verify: Callable[..., Verified | None] = verify_for_others,
) -> Answer | None:
    """Describe the token; None if `verify` does not know it. `sees`: what it must meet for the
    caller to be told of it. `address` is that of the client which has sent it, if the caller names
    one: a list of allowed addresses is judged by it, and it is recorded. The caller's own is not:
    it does not use the token. Raises `TooMany`."""
    service = verify_bearer if "." in token else verify
    try:
        found = service(presented=token, at=at, address=address, requirement=sees)
    except (Refused, Insufficient):
        return not_active()
    if found is not None and found.scopes is not None and sees is not None and sees.service:
        found = found._replace(scopes=of_service(found.scopes, sees.service))
    return found and _good(found)


@cache
def not_active() -> Answer:
    return in_json(200, {"active": False})._replace(result=INACTIVE)


@lru_cache(maxsize=1000)
def _good(found: Verified) -> Answer:
    """The members of RFC 7662, with role and account. Worded once for what is found often."""
    members: dict[str, Any] = {
        "active": True,
        "token_type": "APIKey" if found.token_id else "Bearer",
        "iss": settings.BASE_URL,
        "sub": str(found.user_id),
        "username": found.email,
        "client_id": str(found.account_id),
        "role": {"id": found.role.value, "name": found.role.label},
        "account": found.account_id,
    }
    if found.token_id is not None:
        members["jti"] = str(found.token_id)
    if found.created_at is not None:
        members["iat"] = int(found.created_at.timestamp())
    if found.expires_at is not None:
        members["exp"] = int(found.expires_at.timestamp())
    if found.allowed_addresses:
        members["allowed_addresses"] = found.allowed_addresses.split()
    if found.scopes is not None:
        members["scope"] = found.scopes
    return in_json(200, members)


def _refused(request: HttpRequest, refused: Refused) -> HttpResponse:
    message = MISSING if refused.code is Refusal.MISSING else BAD_CALLER
    body = {
        "error": "invalid_client",
        "message": message,
        "code": refused.code,
        "hint": refused.sentence,
    }
    error = "" if refused.code is Refusal.MISSING else ', error="invalid_token"'
    challenge = ("WWW-Authenticate", f'Bearer realm="permatoken"{error}')
    response = as_response(in_json(401, body, challenge), request)
    return note(response, code=refused.code.value)
