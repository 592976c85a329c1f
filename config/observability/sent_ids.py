"""The ids in a question about a token: that of the token, of its issuer, and of who asks.

The id of a token is the number in front of its secret, if the text is whole and undamaged. It was
sent: whether there is such a token, and whether the secret is its own, only the answer says.
"""

import json
from codecs import BOM_UTF8
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote

from apitokens import keys
from apitokens.api.introspect import KEY_BEGINS, MOST_FIELDS, alone
from apitokens.api.responses import GOOD
from apitokens.cache.token_caches import TOKENS
from apitokens.verification.authorization_header import named_token, token_in_basic
from apitokens.verification.refusals import Refusal, Refused

USER_ID = "X-Auth-User-Id"
UNENCRYPTED = "https_required"
"""The one refusal with 403 for which nobody has looked at the secret."""
TOLD_TO_HOLDERS = (Refusal.EXPIRED, Refusal.DELETED, Refusal.ISSUER_INACTIVE, Refusal.ROTATED)
"""Refusals that only a holder of the right secret gets. All with 403 are such, too, except for
`UNENCRYPTED`."""


def ids_in_question(environ: dict[str, Any], *, endpoint: str) -> dict[str, int | None]:
    """The ids of the token that is asked about, and of the verifier key of who asks."""
    header = environ.get("HTTP_AUTHORIZATION")
    if endpoint != "introspect":
        return {"token": named_token(header)}
    fields = _fields(environ)
    in_form = keys.id_of_verifier(fields.get("client_secret", ""))
    return {
        "token": keys.id_of(fields.get("token", "")),
        "verifier": named_verifier(header) if header else in_form,
    }


def issuer_known(
    token_id: int | None,
    *,
    status: int,
    result: str,
    headers: list[tuple[str, str]],
    body: bytes,
) -> int | None:
    """The id of the token's issuer, as far as the answer or this process's memory has it. None for
    a secret that is not the token's: who sends it has nothing to do with the issuer."""
    if result == GOOD:
        told = dict(headers).get(USER_ID) or (json.loads(body)["sub"] if body else None)
        return int(told) if told else None
    is_holder = status == HTTPStatus.FORBIDDEN and result != UNENCRYPTED
    if token_id is None or not (is_holder or result in TOLD_TO_HOLDERS):
        return None
    verified = getattr(TOKENS.find(token_id), "verified", None)
    return getattr(verified, "user_id", None)


def _fields(environ: dict[str, Any]) -> dict[str, str]:
    """The fields of the form that are there once. Bodies that were read stand in memory."""
    stream = environ.get("wsgi.input")
    if not isinstance(stream, BytesIO):
        return {}
    try:
        text = stream.getvalue().removeprefix(BOM_UTF8).decode(errors="replace")
        found = parse_qs(text, max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}
    return {name: alone(texts[0]) for name, texts in found.items() if len(texts) == 1}


def named_verifier(header: str) -> int | None:
    """The id of the verifier key that the header has, if it has a whole one."""
    scheme, _space, text = header.replace("\t", " ").strip().partition(" ")
    if scheme.lower() != "basic":
        return keys.id_of_verifier(text.strip())
    try:
        shown = token_in_basic(text.strip(), begins=KEY_BEGINS, decode=unquote)
    except Refused:
        return None
    return keys.id_of_verifier(shown)
