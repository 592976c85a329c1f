"""`/iam/auth/introspect/batch`: many tokens at once, for gateways that warm up.

Each token is answered as if it had been asked about alone, in the order of the question: what is
counted, limited and recorded for it is the same. Each may have the address of its client beside it.
"""

import json
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from accounts.api.parsers import JSON, is_json, keys_once
from accounts.api.refusals import throttled_body
from accounts.throttling.process_counters import TooMany
from apitokens import keys
from apitokens.api.introspect import (
    IN_THE_ADDRESS,
    BadQuestion,
    alone,
    authenticate_by_header,
    describe,
    not_active,
    read_client_address,
    refusal_answer,
)
from apitokens.api.responses import Answer
from apitokens.api.verify import as_response, not_allowed, note
from apitokens.verification.refusals import Refused, Requirement

MOST = 100
ACTIVE = b'{"active": true'
"""How the description of a good token begins."""
WHAT_TO_SEND = (
    f"Send a JSON array of 1 to {MOST} tokens, each a text that is not empty, or an object with "
    "token and client_address."
)


class Question(NamedTuple):
    """A token, and the address of the client that has sent it, if the caller names it."""

    token: str
    address: str | None


@csrf_exempt
@sensitive_variables()
def introspect_batch(request: HttpRequest) -> HttpResponse:
    """Describe each of the tokens in the JSON array, to a known verifier only."""
    if request.method != "POST":
        return not_allowed(request, ("POST",))
    at = timezone.now()
    try:
        caller = authenticate_by_header(request, at=at)
        questions = _questions(request)
        bodies = [_body(question, sees=caller.sees, at=at) for question in questions]
    except (Refused, TooMany, BadQuestion) as refusal:
        return refusal_answer(request, refusal, field="tokens")
    content = b"[%s]" % b", ".join(bodies)
    headers = [
        ("Content-Type", JSON),
        ("Content-Length", str(len(content))),
        ("Cache-Control", "no-store"),
    ]
    response = as_response(Answer(200, headers, content), request)
    return note(response, verifier=caller.id, **_ids(questions, bodies))


@sensitive_variables()
def _ids(questions: list[Question], bodies: list[bytes]) -> dict[str, list[int]]:
    """Of the tokens that are refused; of all that are asked about, if the log shall tell of all."""
    asked = [(keys.id_of(each.token), body) for each, body in zip(questions, bodies, strict=True)]
    refused = [number for number, body in asked if number and not body.startswith(ACTIVE)]
    if settings.LOG_VERIFY != "all":
        return {"refused": refused}
    return {"tokens": [number for number, _body in asked if number], "refused": refused}


@sensitive_variables()
def _questions(request: HttpRequest) -> list[Question]:
    """The tokens in the body, with their addresses. Raises `BadQuestion`."""
    if request.META.get("QUERY_STRING"):
        raise BadQuestion(400, IN_THE_ADDRESS)
    if not is_json(request.content_type):
        raise BadQuestion(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{WHAT_TO_SEND} Content-Type: {JSON}."
        )
    try:
        sent = json.loads(request.body.decode("utf-8-sig"), object_pairs_hook=keys_once)
    except (ValueError, RecursionError):
        raise BadQuestion(400, WHAT_TO_SEND) from None
    if not isinstance(sent, list) or not 1 <= len(sent) <= MOST:
        raise BadQuestion(400, WHAT_TO_SEND)
    return [_question(each) for each in sent]


@sensitive_variables()
def _question(sent: object) -> Question:
    """One element of the array: a text, or an object. Raises `BadQuestion`."""
    facts = {"token": sent} if isinstance(sent, str) else sent
    if not isinstance(facts, dict) or not facts.keys() <= {"token", "client_address"}:
        raise BadQuestion(400, WHAT_TO_SEND)
    token = facts.get("token")
    if not isinstance(token, str) or not alone(token):
        raise BadQuestion(400, WHAT_TO_SEND)
    has_address = "client_address" in facts
    address = read_client_address(facts["client_address"]) if has_address else None
    return Question(alone(token), address)


@sensitive_variables("question", "token")
def _body(question: Question, *, sees: Requirement | None, at: datetime) -> bytes:
    """What would be answered about this token alone. One that is used too often says so in its
    place, with the seconds to wait, and no `active`."""
    token = question.token
    if not token.isascii():  # no token is, and not all of it could be read as bytes
        return not_active().body
    try:
        given = describe(token, sees=sees, at=at, address=question.address)
    except TooMany as too_many:
        waits = {**throttled_body(too_many), "retry_after": too_many.retry_after}
        return json.dumps(waits).encode()
    assert given is not None  # `verify` always knows
    return given.body
