"""Random ids for rows that several accounts share."""

import secrets

from django.db.models import BigIntegerField
from django.db.models.functions import Cast, Random

DRAWN_BY_THE_DATABASE = Cast(100_000_000 + Random() * 899_999_999, BigIntegerField())
"""As `draw_id`, for code that was written when the database counted."""


def draw_id() -> int:
    """Draw a random id of nine digits.

    Consecutive ids would tell every account how many rows the others create.
    """
    return 100_000_000 + secrets.randbelow(900_000_000)
