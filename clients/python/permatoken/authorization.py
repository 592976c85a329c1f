"""Reads the Authorization header."""

SCHEMES = ("apikey", "bearer")


def token_in(header: str | None) -> str | None:
    """The token in `Authorization: APIKey …` or `Bearer …`; None for any other."""
    scheme, _space, text = (header or "").strip(" \t").partition(" ")
    return text.strip(" \t") or None if scheme.lower() in SCHEMES else None
