"""Takes URLs apart without losing anything of them."""

from urllib.parse import SplitResult, urlsplit


def split_url(url: str) -> SplitResult:
    """The parts of a URL. Raises `ValueError` for one with blanks or control characters, which
    `urlsplit` would drop in silence, and for one with a fragment, which is a `#` in a password."""
    if not url.isprintable() or " " in url or "#" in url:
        raise ValueError
    return urlsplit(url)
