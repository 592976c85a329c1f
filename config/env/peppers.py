"""Parses the ring of token peppers."""

import re

from django.core.exceptions import ImproperlyConfigured

_ENTRY = re.compile(r"([1-9][0-9]{0,3}):([0-9a-fA-F]{64})")


def parse_peppers(text: str) -> dict[int, bytes]:
    """Read `"2:<64 hex>,1:<64 hex>"` (commas or new lines between) into {number: 32 bytes}.

    The order is kept: new digests use the pepper that is listed first, as with `SECRET_KEY` and its
    fallbacks. So a new one can be distributed before any process uses it.
    """
    ring: dict[int, bytes] = {}
    for entry in re.split(r"[\s,]+", text.strip()):
        match = _ENTRY.fullmatch(entry)
        pepper = bytes.fromhex(match[2]) if match else b""
        if match is None or int(match[1]) in ring or pepper in ring.values():
            raise ImproperlyConfigured(
                "TOKEN_PEPPERS must be entries such as 1:<64 hexadecimal digits>, each number and "
                "each pepper once, separated by commas. Make a pepper with: openssl rand -hex 32"
            )
        ring[int(match[1])] = pepper
    return ring
