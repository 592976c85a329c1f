"""The length that a request announces for its body."""

MOST_DIGITS = 18
"""What has more is cut, and is still longer than any body that is taken. Python refuses to read
numbers of more than 4,300 digits."""


def read_length(header: str | None) -> int:
    """A length in bytes as `Content-Length` says it; 0 for none, and for what is no number."""
    text = header or "0"
    if not (text.isascii() and text.isdecimal()):
        return 0
    return int(text.lstrip("0")[:MOST_DIGITS] or "0")
