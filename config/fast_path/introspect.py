"""The short way to `/iam/auth/introspect`.

Only the usual question takes it: a known verifier key in the header, and a form with the field
`token`, perhaps with a `token_type_hint` and then a `client_address`. Whatever has to be refused
with a reason goes to Django.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from django.core.exceptions import DisallowedHost

from accounts.http.client_ip import client_address
from accounts.throttling.process_counters import TooMany
from apitokens.api.introspect import (
    FORM,
    BadQuestion,
    describe,
    read_client_address,
    shown_in_header,
    verify_for_others,
)
from apitokens.api.responses import wait_answer
from apitokens.verification.refusals import Refused, Verified
from apitokens.verification.verifier_keys import (
    Verifier,
    authenticate_verifier,
    known_verifier,
)
from apitokens.verification.verify import verify_from_cache
from config.fast_path.requests import (
    MOST_HEADS,
    Head,
    Headers,
    NotCacheable,
    Sent,
    head_of,
    headers_for,
    status_line,
    texts_of,
)
from config.server.bodies import read_small

PATH = "/iam/auth/introspect"
REQUEST_PARTS = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "QUERY_STRING",
    "CONTENT_TYPE",
    "HTTP_CONTENT_ENCODING",
    "HTTP_HOST",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "REMOTE_ADDR",
    "SERVER_NAME",
    "SERVER_PORT",
    "wsgi.url_scheme",
)
MOST_BYTES = 1_000
"""Of a body. Longer ones go to Django."""
_USUAL = re.compile(
    rb"(?:token_type_hint=[a-z_]*&)?token=((?:[0-9A-Za-z_$]++|%24)++)(?:&token_type_hint=[a-z_]*)?"
    rb"(?:&client_address=((?:[0-9A-Fa-f.:]++|%3[Aa])++))?"
)
"""Bodies that say the same however they are decoded, but for the dollar sign and the colon. No
short-lived token is in one: those have full stops."""
_COLON = re.compile("%3[Aa]")
_verify_from_cache_for_others = partial(verify_from_cache, by_client=False)


def answer(
    environ: dict[str, Any],
    *,
    authenticate: Callable[..., Verifier | None] = known_verifier,
    verify: Callable[..., Verified | None] = _verify_from_cache_for_others,
) -> Sent | None:
    """The answer; None if Django has to give it, or the database to be asked."""
    headers = _headers(environ)
    if headers is None:
        return None
    at = datetime.now(UTC)
    try:
        shown = shown_in_header(environ["HTTP_AUTHORIZATION"])
        caller = authenticate(presented=shown, at=at)
        if caller is None:
            return None
        found = _USUAL.fullmatch(read_small(environ, most=MOST_BYTES))
        if found is None:
            return None
        token, address = _token(found), _address(found)
        given = describe(token, sees=caller.sees, at=at, address=address, verify=verify)
    except TooMany as too_many:  # has been counted, and is not to be again
        given = wait_answer(too_many)
    except (Refused, BadQuestion):
        return None
    if given is None:
        return None
    return status_line(given.status), given.headers + headers, [given.body], given.result


def answer_from_database(environ: dict[str, Any]) -> Sent | None:
    """The answer, which may take queries; None if Django has to give it."""
    address = client_address(Head(environ))
    return answer(
        environ,
        authenticate=partial(authenticate_verifier, address=address),
        verify=verify_for_others,
    )


def _headers(environ: dict[str, Any]) -> Headers | None:
    """The headers that every answer gets; None for an unusual request, which goes to Django."""
    texts = texts_of(environ, REQUEST_PARTS)
    if texts is None or not environ.get("HTTP_AUTHORIZATION"):
        return None
    try:
        return _read_head(texts)
    except (NotCacheable, DisallowedHost):
        return None


@lru_cache(maxsize=MOST_HEADS)
def _read_head(texts: tuple[str | None, ...]) -> Headers:
    """Read the head. Cached, because resource servers send the same again and again.

    Raises `NotCacheable` or `DisallowedHost`, so that nothing of an unusual request is cached: it
    may have a token in its address.
    """
    head = head_of(texts, REQUEST_PARTS)
    facts = head.META
    is_form = facts.get("CONTENT_TYPE", "").lower() in (FORM, f"{FORM};charset=utf-8")
    is_usual = facts.get("REQUEST_METHOD") == "POST" and is_form
    if not is_usual or facts.get("QUERY_STRING") or facts.get("HTTP_CONTENT_ENCODING"):
        raise NotCacheable
    head.get_host()
    return headers_for(head)


def _token(body: re.Match[bytes]) -> str:
    """The token that is asked about."""
    return body[1].decode("ascii").replace("%24", "$")


def _address(body: re.Match[bytes]) -> str | None:
    """The address of the client that has sent it, if it is named. Raises `BadQuestion`."""
    if body[2] is None:
        return None
    return read_client_address(_COLON.sub(":", body[2].decode("ascii")))
