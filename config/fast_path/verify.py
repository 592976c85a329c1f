"""The short way to `/iam/auth/verify`."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from accounts.http.client_ip import client_address
from apitokens.api.responses import (
    InvalidRequirement,
    answer_requirement,
    read_requirement,
)
from apitokens.verification.refusals import Requirement, Verified
from apitokens.verification.verify import verify, verify_from_cache
from config.fast_path.requests import (
    MOST_HEADS,
    Headers,
    NotCacheable,
    Sent,
    head_of,
    headers_for,
    status_line,
    texts_of,
)

PATH = "/iam/auth/verify"
REQUEST_PARTS = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "QUERY_STRING",
    "CONTENT_LENGTH",
    "REMOTE_ADDR",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "wsgi.url_scheme",
)


class _RequestKey(NamedTuple):
    """The facts of a request beside its Authorization header: the address, the requirement on the
    token, and the headers of the answer."""

    address: str | None
    requirement: Requirement
    headers: Headers


def answer(
    environ: dict[str, Any], *, verify: Callable[..., Verified | None] = verify_from_cache
) -> Sent | None:
    """The answer; None if Django has to give it, or the database to be asked."""
    request = _request_key(environ)
    if request is None:
        return None
    given = answer_requirement(
        request.requirement,
        authorization=environ.get("HTTP_AUTHORIZATION"),
        at=datetime.now(UTC),  # as `timezone.now()`, which asks a setting each time
        address=request.address,
        verify=verify,
    )
    if given is None:
        return None
    body = [] if environ["REQUEST_METHOD"] == "HEAD" else [given.body]
    return status_line(given.status), given.headers + request.headers, body, given.result


def answer_from_database(environ: dict[str, Any]) -> Sent | None:
    """The answer, which may take a query; None if Django has to give it."""
    return answer(environ, verify=verify)


def _request_key(environ: dict[str, Any]) -> _RequestKey | None:
    """The facts of the request. None for an unusual one, which goes to Django."""
    texts = texts_of(environ, REQUEST_PARTS)
    if texts is None:
        return None
    try:
        return _read_request_key(texts)
    except (NotCacheable, InvalidRequirement):
        return None


@lru_cache(maxsize=MOST_HEADS)
def _read_request_key(texts: tuple[str | None, ...]) -> _RequestKey:
    """Read what the request says. Cached, because proxies send the same again and again.

    Raises `NotCacheable` or `InvalidRequirement`, so that nothing of an unusual request is cached:
    it may have a token in its address.
    """
    head = head_of(texts, REQUEST_PARTS)
    requirement = read_requirement(head.META.get("QUERY_STRING", ""))
    if head.META.get("CONTENT_LENGTH") not in (None, "", "0"):
        raise NotCacheable
    headers = headers_for(head)
    return _RequestKey(client_address(head), requirement, headers)
