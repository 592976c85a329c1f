"""Ids that people of several accounts get to see."""

import secrets


def draw_id() -> int:
    """An id of nine digits, drawn and not counted.

    Consecutive ids would tell every account how many of a thing the others make.
    """
    return 100_000_000 + secrets.randbelow(900_000_000)
