"""The caches of this process. What services end is forgotten by `apitokens.cache.in_force`."""

from typing import Any

from apitokens.cache.hosts import token_marks, verifier_marks
from apitokens.cache.lease_cache import ReadLeaseCache

TOKENS: ReadLeaseCache[Any] = ReadLeaseCache(most=10_000, find_marks=token_marks)
"""By the id of the token; see `apitokens.verification.verify`, which alone knows what is in it."""

VERIFIERS: ReadLeaseCache[Any] = ReadLeaseCache(most=1_000, find_marks=verifier_marks)
"""By the id of the verifier key; see `apitokens.verification.verifier_keys`."""
