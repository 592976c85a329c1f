"""What can go wrong, and how it is answered: as the portal words its own refusals."""

import json
from typing import NamedTuple

CHALLENGE = 'APIKey realm="permatoken"'


class Unavailable(Exception):
    """The portal does not answer, or not as it should. Nobody gets in meanwhile."""


class TooMany(Unavailable):
    """The portal is asked about this token, or by this service, more often than it answers."""

    def __init__(self, reason: str, *, retry_after: str) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds, as digits."""


class Refusal(NamedTuple):
    """An answer to a request that does not get in."""

    status: int
    reason: str
    code: str
    hint: str
    header: tuple[str, str] | None = None

    @property
    def body(self) -> bytes:
        return json.dumps({"code": self.code, "hint": self.hint}).encode()

    @property
    def headers(self) -> list[tuple[str, str]]:
        common = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", "no-store"),
            ("X-Auth-Error", self.code),
        ]
        return [*common, self.header] if self.header else common


MISSING = Refusal(
    *(401, "Unauthorized", "missing", "Send an API token: Authorization: APIKey <token>."),
    ("WWW-Authenticate", CHALLENGE),
)
NOT_ACTIVE = Refusal(
    *(401, "Unauthorized", "not_active", "The API token is not good, or not any more."),
    ("WWW-Authenticate", f'{CHALLENGE}, error="not_active"'),
)
ROLE_TOO_LOW = Refusal(
    403, "Forbidden", "role_too_low", "The API token's role is too low for this."
)
SCOPE_MISSING = Refusal(
    403, "Forbidden", "scope_missing", "The API token does not have the scope that this needs."
)
WRONG_ACCOUNT = Refusal(
    403, "Forbidden", "wrong_account", "The API token belongs to another account."
)
ADDRESS_NOT_ALLOWED = Refusal(
    403, "Forbidden", "address_not_allowed", "The API token can't be used from this address."
)
UNAVAILABLE = Refusal(
    *(503, "Service Unavailable", "unavailable", "API tokens can't be checked now. Try again."),
    ("Retry-After", "1"),
)


def refusal_of(fault: Unavailable) -> Refusal:
    """How a request is answered about whose token nothing was heard."""
    if not isinstance(fault, TooMany):
        return UNAVAILABLE
    return Refusal(
        *(429, "Too Many Requests", "too_many", "Too many requests. Wait, then try again."),
        ("Retry-After", fault.retry_after),
    )
