"""Refusals that authentication needs: what it imports must not import the views of DRF."""

from rest_framework import exceptions

from accounts.ratelimits import TooManyTries


class TooMany(exceptions.Throttled):
    """429 with `Retry-After`."""

    extra_detail_singular = "The next is welcome in {wait} second."
    extra_detail_plural = "The next is welcome in {wait} seconds."

    def __init__(self, limit: TooManyTries) -> None:
        super().__init__(wait=limit.retry_after, detail="Too many tries.")
