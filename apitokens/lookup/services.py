"""The service that tells whose a found token is."""

import re
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import reauthorize
from apitokens import keys
from apitokens.keys import Key
from apitokens.models import APIToken, OldSecret
from apitokens.verification.decision import Reason, decide
from apitokens.verification.token_lookup import look_up as find_entry

_WHOLE = re.compile(
    rf"(?<![0-9a-z])([1-9][0-9]{{0,18}})(?i:{keys.SEPARATORS})([0-9a-f]{{72}})(?![0-9a-f])"
)
"""A token as it stands in logs: somewhere in a line, or as addresses, JSON and HTML write it."""
_ID_ALONE = re.compile(r"[1-9][0-9]{0,18}[$_]?")
_NOTHING = bytes(keys.DIGEST_BYTES)


class Found(NamedTuple):
    """The token, and whether it was found by the secret that it had before it was rotated."""

    token: APIToken
    is_old_secret: bool


@sensitive_variables()
@transaction.atomic
def look_up(*, text: str, by: Actor, at: datetime) -> Found:
    """The token that is in the text: of the account whose Administrator asks, or any for operators.
    It leaves an event, and nothing of the secret.

    Raises `ValidationError` if there is none, in the same words for a token of another account, a
    wrong secret and an id that nobody has; `PermissionDenied`.
    """
    by = reauthorize(by, at)
    account_id = by.membership.account_id if by.membership else None
    if not (by.is_operator or (account_id and by.is_administrator_of(account_id))):
        raise PermissionDenied(_("Only Administrators look up tokens."))
    key = _key_in(text)
    tokens = APIToken.objects.all() if by.is_operator else APIToken.objects.visible_to(by)
    token = tokens.select_related("issuer__user", "old_secret").filter(pk=key.id).first()
    old = token.former_secret if token else None
    fits, fits_old = _is_of(key, token), _is_of(key, old)
    if token is None or not (fits or fits_old):
        raise ValidationError(
            _(
                "No API token matches. It may belong to another account, or have been deleted "
                "more than 90 days ago."
            ),
            code="unknown",
        )
    audit.record(
        "token.looked_up",
        by=by,
        at=at,
        account_id=token.account_id,
        subject=token,
        name=token.name,
    )
    return Found(token, is_old_secret=not fits)


def refusal_of(found: Found, *, at: datetime) -> Reason | None:
    """The reason for which verification refuses what was found; None if it is accepted."""
    entry = find_entry(found.token.pk)
    if found.is_old_secret:
        if entry.old is None:
            return Reason.ROTATED  # forgotten since it was found
        entry = entry.old
    return decide(entry, fits=True, at=at, is_fresh=True).reason


@sensitive_variables()
def _key_in(text: str) -> Key:
    """The first token that is whole: what else of this shape is in the line is another thing."""
    for found in _WHOLE.finditer(text):
        key = keys.read(f"{found[1]}${found[2]}")
        if isinstance(key, Key):
            return key
    if _ID_ALONE.fullmatch(text.strip()):
        raise ValidationError(
            _("This is only the ID. Paste the whole token, including the part after $."),
            code="id_alone",
        )
    raise ValidationError(
        _("This isn't a complete API token. Check that nothing is missing at the start or end."),
        code="malformed",
    )


@sensitive_variables()
def _is_of(key: Key, row: APIToken | OldSecret | None) -> bool:
    """Compare in the same time, whether there is such a row or not."""
    digest = row.digest if row else None
    pepper = settings.TOKEN_PEPPERS.get(row.pepper or 0) if row else None
    fits = keys.matches(key, stored=bytes(digest or _NOTHING), pepper=pepper or _NOTHING)
    return fits and bool(digest and pepper)
