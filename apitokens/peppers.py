"""The ring of peppers that digests of API tokens are keyed with."""

from django.conf import settings


def newest_pepper() -> int:
    """The number of the pepper that new digests use."""
    return next(iter(settings.TOKEN_PEPPERS))
