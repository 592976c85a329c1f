"""Reads the Authorization header, for every entry point.

Other code calls `verify_request`, which needs no middleware; REST framework's views get the same
from `apitokens.api.authentication`.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.http.client_ip import client_address
from accounts.jwt import token_families
from accounts.jwt.tokens import Invalid
from accounts.roles import Role
from accounts.throttling import process_counters
from apitokens import keys
from apitokens.verification import refusals
from apitokens.verification.refusals import (
    Refusal,
    Refused,
    Requirement,
    Verified,
    require,
)
from apitokens.verification.verify import verify

_TOKEN_BEGINS = re.compile(r"[1-9][0-9]{0,18}[$_]")
APIKEY, BEARER, BASIC = "apikey", "bearer", "basic"
BLANKS = " \t"
"""What may surround the value of a header (RFC 9110, 5.5). Others, such as a no-break space, were
copied along with the token."""
FoundOrNone = TypeVar("FoundOrNone", Verified, Verified | None)


def verify_header(
    header: str | None,
    *,
    at: datetime,
    address: str | None,
    requirement: Requirement | None = None,
    verify: Callable[..., FoundOrNone] = verify,
    takes_basic: bool = False,
) -> FoundOrNone:
    """Tell whose credentials the Authorization header has. Raises `Refused`, and so for none; and
    `TooMany` for an address that guesses, or a token that is used, too often. `Insufficient` for a
    good one that does not meet the `requirement`.

    `takes_basic`: an API token may also be the password of Basic, or its user name without a
    password. Not where browsers come, which send Basic by themselves.

    `verify` is the service for API tokens, or `verify_from_cache` in its place, which returns None
    for short-lived tokens, too: those are looked up in the database each time.
    """
    if header is None:
        raise Refused(Refusal.MISSING)
    try:
        scheme, text = _read(header, takes_basic=takes_basic)
        service = verify if scheme == APIKEY else _bearer_service(verify)
        found: FoundOrNone = service(
            presented=text, at=at, address=address, requirement=requirement
        )
    except Refused as refused:
        if refused.is_guess and header.strip(BLANKS):
            process_counters.count_refusal(address, at=at)
        raise
    return found


@sensitive_variables()
def named_token(header: str | None) -> int | None:
    """The id of the API token that the header has, if it has a whole one. Asks nobody whether it
    exists."""
    try:
        return keys.id_of(_read(header or "", takes_basic=True)[1])
    except Refused:
        return None


def _read(header: str, *, takes_basic: bool) -> tuple[str, str]:
    """The scheme, `APIKEY` or `BEARER`, and the credentials. Raises `Refused` for any other.

    Servers empty a header that is not ASCII: an invisible character was copied along with a token.
    """
    scheme, _space, text = header.strip(BLANKS).partition(" ")
    scheme, text = scheme.lower(), text.strip(BLANKS)
    if scheme in (APIKEY, BEARER):
        return scheme, text
    if scheme == BASIC and takes_basic:
        return APIKEY, token_in_basic(text)
    if "\t" in scheme:  # some write one for the space; nothing else has any
        return _read(header.replace("\t", " "), takes_basic=takes_basic)
    raise Refused(Refusal.MISSING if header and header.isascii() else Refusal.MALFORMED)


@sensitive_variables()
def token_in_basic(
    encoded: str,
    *,
    begins: re.Pattern[str] = _TOKEN_BEGINS,
    decode: Callable[[str], str] = str,
) -> str:
    """The token in Basic credentials: the password, or the user name without one. Raises `Refused`
    if there is none: they may be meant for another service, and `malformed` if it is not clear
    which of two is meant. Latin-1 reads any bytes; those of a token are ASCII. `decode` is for the
    user name and the password, each by itself."""
    try:
        pair = base64.b64decode(encoded, validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        raise Refused(Refusal.MALFORMED) from None
    name, password = map(decode, pair.partition(":")[::2])
    tokens = [text for text in (name, password) if begins.match(text)]
    if not tokens:
        raise Refused(Refusal.MISSING)
    if tokens == [password] or (tokens == [name] and not password):
        return tokens[0]
    raise Refused(Refusal.MALFORMED)


@sensitive_variables("presented")
def verify_bearer(
    *,
    presented: str,
    at: datetime,
    address: str | None,
    requirement: Requirement | None = None,
) -> Verified:
    """Tell whose short-lived access token this is. Raises `Refused`, and `Insufficient`."""
    try:
        access = token_families.authenticate_access_token(presented, at=at, address=address)
    except Invalid as invalid:
        why = refusals.BEARER if invalid.is_guess else refusals.ENDED_BEARER
        raise Refused(Refusal.UNKNOWN, why) from None
    member = access.membership
    assert member is not None
    found = Verified(
        token_id=None,
        account_id=member.account_id,
        membership_id=member.pk,
        user_id=member.user_id,
        email=member.user.email,
        role=member.held_role,
        created_at=None,
        expires_at=None,
    )
    require(found, requirement)
    return found


def is_bearer(header: str) -> bool:
    """True for the header of a short-lived token."""
    return header.replace("\t", " ").strip().partition(" ")[0].lower() == BEARER


def _bearer_service(service: Callable[..., FoundOrNone]) -> Callable[..., Any]:
    """The service for short-lived tokens: nothing about them is cached."""
    return verify_bearer if service is verify else lambda **_facts: None


@sensitive_variables()  # and of all that it calls
def verify_request(
    request: HttpRequest, *, role: Role | None = None, account_id: int | None = None
) -> Verified:
    """Tell whose token the request carries. Raises `Refused`; `Insufficient` if it is good but has
    a weaker role or belongs to another account; `TooMany` if it comes too often."""
    return verify_header(
        request.META.get("HTTP_AUTHORIZATION"),
        at=timezone.now(),
        address=client_address(request),
        requirement=Requirement(role, account_id),
    )
