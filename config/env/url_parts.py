"""Takes URLs apart without losing anything of them."""

from urllib.parse import SplitResult, urlsplit


def split_url(url: str) -> SplitResult:
    """The parts of a URL. Raises `ValueError` for one with blanks or control characters, which
    `urlsplit` would drop in silence, for one with a fragment, which is a `#` in a password, and for
    one without `//`, whose host would be a path."""
    if not url.isprintable() or " " in url or "#" in url or not _has_authority(url):
        raise ValueError
    return urlsplit(url)


def without_nul(text: str) -> str:
    """The text. Raises `ValueError` if it has a NUL, which no file and no library takes."""
    if "\0" in text:
        raise ValueError
    return text


def _has_authority(url: str) -> bool:
    return url.partition(":")[2].startswith("//")
