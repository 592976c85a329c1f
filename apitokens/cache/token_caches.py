"""The caches of this process. Services that change a row forget its entry on commit."""

from typing import Any

from django.dispatch import receiver

from accounts.signals import standing_changed
from apitokens.cache.lease_cache import ReadLeaseCache

TOKENS: ReadLeaseCache[Any] = ReadLeaseCache(most=10_000)
"""By the id of the token; see `apitokens.verification.verify`, which alone knows what is in it."""

VERIFIERS: ReadLeaseCache[Any] = ReadLeaseCache(most=1_000)
"""By the id of the verifier key; see `apitokens.verification.verifier_keys`."""


@receiver(standing_changed)
def forget_standing(**_facts: Any) -> None:
    """Forget all tokens: what they may do follows from what their issuers may do, which changes so
    rarely that it does not matter whose tokens are concerned."""
    TOKENS.forget_all()
