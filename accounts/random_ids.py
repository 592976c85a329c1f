"""Random ids for rows that several accounts share."""

import secrets


def draw_id() -> int:
    """Draw a random id of nine digits.

    Consecutive ids would tell every account how many rows the others create.
    """
    return 100_000_000 + secrets.randbelow(900_000_000)
