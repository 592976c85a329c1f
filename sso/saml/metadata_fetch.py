"""Fetches metadata from a URL, if its origin is in SSO_METADATA_ORIGINS.

A URL that users choose could reach hosts of the portal's own network (server-side request forgery).
So only the listed origins are asked, redirects are not followed, and size and time are bounded.
"""

import time
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from sso.saml.metadata import MAX_BYTES

TIMEOUT_SECONDS = 10
"""For the whole download, from the DNS query to the last byte."""
CHUNK_BYTES = 16 * 1024


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_facts: object) -> None:
        return None


_opener = build_opener(_NoRedirects)


def fetch_metadata(url: str) -> bytes:
    """Download the document, or its beginning if it is larger than metadata may be.

    Raises `ValidationError`. The error repeats nothing of the response, so that this form cannot be
    used to read other documents of the origin.
    """
    url = url.strip()
    if not _is_allowed(url):
        raise ValidationError(
            _(
                "The operator of the portal doesn't allow metadata to be fetched from this "
                "address. Paste it instead."
            ),
            code="not_allowed",
        )
    try:
        return _download(url)
    except (URLError, HTTPException, OSError, ValueError):
        raise ValidationError(
            _(
                "No metadata was found at this address. Check the address, or paste the metadata "
                "instead."
            ),
            code="not_fetched",
        ) from None


def _is_allowed(url: str) -> bool:
    origin = _origin(url)
    return origin is not None and origin in map(_origin, settings.SSO_METADATA_ORIGINS)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL; None if it cannot be fetched."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("https", "http") or not host or "@" in parts.netloc:
        return None
    return parts.scheme, host, port or {"https": 443, "http": 80}[parts.scheme]


def _download(url: str) -> bytes:
    """Read up to the first chunk over the limit. Raises `TimeoutError` after the total time."""
    ends_at = time.monotonic() + TIMEOUT_SECONDS
    # The origin is listed in the settings, which accept only http and https.
    request = Request(url, headers={"Accept": "application/samlmetadata+xml"})  # noqa: S310
    parts: list[bytes] = []
    with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
        while part := answer.read1(CHUNK_BYTES):
            parts.append(part)
            if sum(map(len, parts)) > MAX_BYTES:
                break
            if time.monotonic() > ends_at:
                raise TimeoutError
    return b"".join(parts)
