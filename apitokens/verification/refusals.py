"""Refusals of tokens in words, and what a good token may do."""

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.roles import Role
from apitokens import keys
from apitokens.verification.decision import Reason


class Refusal(StrEnum):
    """The code of a refusal. The last four are told only to the holder of the right secret."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    DELETED = "deleted"
    ISSUER_INACTIVE = "issuer_inactive"
    ROTATED = "rotated"


BEARER, ENDED_BEARER = "bearer", "bearer_ended"
FORGOTTEN, VERIFIER_FORGOTTEN = "forgotten", "verifier_forgotten"
_GUESSES = (Refusal.MALFORMED, Refusal.UNKNOWN)
_NO_GUESSES = (ENDED_BEARER, FORGOTTEN, VERIFIER_FORGOTTEN)
_NO_SUCH_TOKEN = _("This API token doesn't exist.")
_NO_SUCH_VERIFIER = _("This verifier key doesn't exist.")
_BAD_BEARER = _(
    "The short-lived token is invalid or has expired. Get a new one. API tokens are sent as "
    "Authorization: APIKey <token>."
)
_CODES = {
    Reason.UNKNOWN: Refusal.UNKNOWN,
    Reason.DELETED: Refusal.DELETED,
    Reason.EXPIRED: Refusal.EXPIRED,
    Reason.ISSUER_INACTIVE: Refusal.ISSUER_INACTIVE,
    Reason.SUSPENDED: Refusal.ISSUER_INACTIVE,
    Reason.ROTATED: Refusal.ROTATED,
}
_SENTENCES: dict[str, Promise] = {
    Refusal.MISSING: _("Send an API token in the header Authorization: APIKey <token>."),
    Refusal.MALFORMED: _("This is not an API token. Check that you copied all of it."),
    Refusal.UNKNOWN: _NO_SUCH_TOKEN,
    FORGOTTEN: _NO_SUCH_TOKEN,
    Refusal.EXPIRED: _("The API token has expired. Create a new one."),
    Refusal.DELETED: _("The API token was deleted. Create a new one."),
    Refusal.ISSUER_INACTIVE: _(
        "The user who issued the API token, or their account, is not active. Contact an "
        "Administrator of the account."
    ),
    Refusal.ROTATED: _("The API token was rotated, and this is its old secret. Use the new one."),
    Reason.SUSPENDED: _(
        "The API token is suspended because the user who issued it hasn't signed in through the "
        "account's identity provider for a long time. It will work again once they sign in there."
    ),
    keys.Damage.TRUNCATED: _(
        "Only the ID of the API token arrived (token_truncated): your shell treated the part "
        "after $ as a variable. Put the header in single quotes."
    ),
    "verifier_malformed": _("This is not a verifier key. Check that you copied all of it."),
    "verifier_unknown": _NO_SUCH_VERIFIER,
    VERIFIER_FORGOTTEN: _NO_SUCH_VERIFIER,
    "verifier_deleted": _("The verifier key was deleted. Ask an operator for a new one."),
    "verifier_missing": _(
        "Send your own verifier key in the header Authorization: Bearer <verifier key>, or as the "
        "password of Authorization: Basic."
    ),
    BEARER: _BAD_BEARER,
    ENDED_BEARER: _BAD_BEARER,
}


class Refused(Exception):
    """The token is not good: `code` says why, `sentence` what to do. Never repeats the token.

    `why` names the sentence where a code has more than one.
    """

    def __init__(self, code: Refusal, why: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.why = why or code

    @classmethod
    def because(cls, reason: Reason) -> "Refused":
        """The refusal of a key that was decided about."""
        return cls(_CODES[reason], reason)

    @property
    def is_guess(self) -> bool:
        """False for who shows nothing, for who knows the secret of a token that has ended, and for
        who names one whose digest was dropped since: a forgotten job must not shut out the others
        at its address."""
        return self.code in _GUESSES and self.why not in _NO_GUESSES

    @property
    def sentence(self) -> str:
        return str(_SENTENCES[self.why])

    @property
    def facts(self) -> dict[str, Any]:
        """The details of its audit event."""
        return {"code": self.code} | ({} if self.why == self.code else {"why": self.why})


class Verified(NamedTuple):
    """A good token's permissions and holder. `role` is the weaker of token's and issuer's,
    `expires_at` the end of the secret that was shown, and `secret_number` says how often the token
    had been rotated when it got that one. A short-lived token has no id."""

    token_id: int | None
    account_id: int
    membership_id: int
    user_id: int
    email: str
    role: Role
    created_at: datetime | None
    expires_at: datetime | None
    secret_number: int = 0
    scopes: str | None = None
    """With spaces between them; None for all that the role allows."""
    allowed_addresses: str = ""
    """As the row of the token has them."""


class Requirement(NamedTuple):
    """The role that a token must cover, the account it must belong to, the scopes that it must
    have, and the service of which it must have one at least."""

    role: Role | None = None
    account_id: int | None = None
    scopes: tuple[str, ...] = ()
    service: str | None = None


SCOPE_MISSING = "scope_missing"


class Insufficient(Exception):
    """The token is good, but not for this: `code` says why, `sentence` what to do, and `scope`
    which one is missing ("" if it is none)."""

    def __init__(self, code: str, sentence: str, scope: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.sentence = sentence
        self.scope = scope

    @property
    def facts(self) -> dict[str, Any]:
        """The details of its audit event."""
        return {"code": self.code}


ELSEWHERE = (
    "The API token can't be used from this address. Use it from an allowed one, or ask its issuer "
    "or an Administrator of the account to allow this one."
)


def refusal_for(reason: Reason) -> Refused | Insufficient:
    """The refusal of a token that was decided about. One that is good, but not from there, is told
    nothing of what else it lacks."""
    if reason is Reason.ADDRESS_NOT_ALLOWED:
        return Insufficient(reason, ELSEWHERE)
    return Refused.because(reason)


def require(found: Verified, requirement: Requirement | None) -> None:
    """Raises `Insufficient` unless the token is good for what is needed."""
    if requirement is None:
        return
    if requirement.account_id is not None and found.account_id != requirement.account_id:
        raise Insufficient("wrong_account", "The API token belongs to another account.")
    if requirement.role is not None and not found.role.covers(requirement.role):
        raise Insufficient(
            "role_too_low",
            "The API token's role is too low for this. Use one with a higher role.",
        )
    if found.scopes is not None:
        _require_scopes(found.scopes, requirement)


def _require_scopes(held: str, requirement: Requirement) -> None:
    """Raises `Insufficient` for a token that is limited to scopes and lacks one that is needed."""
    if requirement.service is not None and not of_service(held, requirement.service):
        raise Insufficient("wrong_service", "The API token can't be used at this service.")
    lacking = _first_missing(held, requirement.scopes)
    if lacking is not None:
        raise Insufficient(SCOPE_MISSING, scope_sentence(lacking), lacking)


def scope_sentence(scope: str) -> str:
    return f"The API token lacks the scope {scope}. Add it to the token, or use another one."


@lru_cache(maxsize=1000)
def _first_missing(held: str, needed: tuple[str, ...]) -> str | None:
    there = set(held.split())
    return next((scope for scope in needed if scope not in there), None)


@lru_cache(maxsize=1000)
def of_service(held: str, service: str) -> str:
    """Those of the scopes that are the service's, with spaces between them."""
    return " ".join(scope for scope in held.split() if scope.startswith(f"{service}:"))
