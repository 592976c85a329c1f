"""Takes URLs apart without losing anything of them."""

from urllib.parse import SplitResult, urlsplit


def split_url(url: str) -> SplitResult:
    """The parts of a URL. Raises `ValueError` for one with blanks or control characters, which
    `urlsplit` would drop in silence, for one with a fragment, which is a `#` in a password, and for
    one without `//`, whose host would be a path."""
    if not url.isprintable() or " " in url or "#" in url or not _has_authority(url):
        raise ValueError
    return urlsplit(url)


def _has_authority(url: str) -> bool:
    return url.partition(":")[2].startswith("//")
