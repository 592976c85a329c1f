"""Sentences of the API that more than one place says. They are the wire's, and not translated."""

from accounts.throttling.process_counters import TooMany

BAD_REQUEST = "The request is not valid: see errors."
FORBIDDEN = "You do not have permission to perform this action."
MISSING = "Authentication credentials were not provided."
TOO_MANY = "Too many requests."


def told_to_wait(too_many: TooMany) -> dict[str, str]:
    """The body of a 429."""
    return {"message": TOO_MANY, "code": too_many.code, "hint": too_many.sentence}
