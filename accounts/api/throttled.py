"""Refusals that authentication needs: what it imports must not import the views of DRF."""

from rest_framework import exceptions, status

from accounts.api.messages import told_to_wait
from accounts.throttling import process_counters
from accounts.throttling.rate_limits import TooManyTries


class TooMany(exceptions.Throttled):
    """429 with `Retry-After`."""

    extra_detail_singular = "The next is welcome in {wait} second."
    extra_detail_plural = "The next is welcome in {wait} seconds."

    def __init__(self, limit: TooManyTries) -> None:
        super().__init__(wait=limit.retry_after, detail="Too many tries.")


class Busy(exceptions.APIException):
    """429 with `Retry-After` for whoever is refused, or uses one token, too often."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS

    def __init__(self, too_many: process_counters.TooMany) -> None:
        super().__init__(told_to_wait(too_many))
        self.wait = too_many.retry_after  # from which REST framework makes the header
