"""Refusals that several entry points of the API share, in English for every client.

Authentication imports this module: it must not import the views of REST framework.
"""

from rest_framework import exceptions, status

from accounts.throttling import process_counters
from accounts.throttling.password_hashing import TooBusy
from accounts.throttling.rate_limits import TooManyTries

BAD_REQUEST = "The request is not valid: see errors."
FORBIDDEN = "You do not have permission to perform this action."
HTTPS_REQUIRED = (
    "Use https: over plain http, anyone along the way can read your token. Replace it now."
)
MISSING = "Authentication credentials were not provided."
TOO_MANY = "Too many requests."
SCOPE_MISSING = "scope_missing"


def throttled_body(too_many: process_counters.TooMany) -> dict[str, str]:
    """The body of a 429."""
    return {"message": TOO_MANY, "code": too_many.code, "hint": too_many.sentence}


class TooMany(exceptions.Throttled):
    """429 with `Retry-After`."""

    extra_detail_singular = "Try again in {wait} second."
    extra_detail_plural = "Try again in {wait} seconds."

    def __init__(self, limit: TooManyTries) -> None:
        super().__init__(wait=limit.retry_after, detail="Too many attempts.")


class Busy(exceptions.APIException):
    """429 with `Retry-After` for too many refused requests, or too many uses of one token."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS

    def __init__(self, too_many: process_counters.TooMany) -> None:
        super().__init__(throttled_body(too_many))
        self.wait = too_many.retry_after  # REST framework makes the header of it


class Overloaded(exceptions.APIException):
    """503 with `Retry-After`, while more passwords wait for their hash than are served in time."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE

    def __init__(self, busy: TooBusy) -> None:
        super().__init__(str(busy))
        self.wait = busy.retry_after


class ScopeMissing(exceptions.PermissionDenied):
    """403 that names the scope."""

    def __init__(self, scope: str) -> None:
        hint = f"The API token lacks the scope {scope}. Add it to the token, or use another one."
        super().__init__(
            {"message": FORBIDDEN, "code": SCOPE_MISSING, "hint": hint, "scope": scope}
        )
