"""Fetches metadata from an address, if the operator of the portal allows its origin.

An address that anybody may name is a way into the network that the portal stands in: so there is
a list, nothing is fetched that it does not hold, and no answer leads anywhere else.
"""

import time
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from sso.saml.metadata import LARGEST

SECONDS = 10
"""For everything, from the first look-up to the last byte."""
PART = 16 * 1024


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_facts: object) -> None:
        return None


_opener = build_opener(_NoRedirects)


def fetch(url: str) -> bytes:
    """What stands there, up to a little more than metadata may have.

    Raises `ValidationError`. What the answer says is not repeated: it is none of the asker's
    business unless it is metadata.
    """
    url = url.strip()
    if not _is_allowed(url):
        raise ValidationError(
            _(
                "The operator of the portal does not allow that metadata are fetched from this "
                "address. Paste them instead."
            ),
            code="not_allowed",
        )
    try:
        return _read(url)
    except (URLError, HTTPException, OSError, ValueError):
        raise ValidationError(
            _("There were no metadata at this address. Check it, or paste the metadata instead."),
            code="not_fetched",
        ) from None


def _is_allowed(url: str) -> bool:
    origin = _origin(url)
    return origin is not None and origin in map(_origin, settings.SSO_METADATA_ORIGINS)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an address; None for what could not be fetched."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("https", "http") or not host or "@" in parts.netloc:
        return None
    return parts.scheme, host, port or {"https": 443, "http": 80}[parts.scheme]


def _read(url: str) -> bytes:
    """The beginning of the answer. Raises `TimeoutError` for one that takes too long."""
    ends_at = time.monotonic() + SECONDS
    # The origin is on the operator's list, which holds none but http and https.
    request = Request(url, headers={"Accept": "application/samlmetadata+xml"})  # noqa: S310
    parts: list[bytes] = []
    with _opener.open(request, timeout=SECONDS) as answer:
        while part := answer.read1(PART):
            parts.append(part)
            if sum(map(len, parts)) > LARGEST:
                break
            if time.monotonic() > ends_at:
                raise TimeoutError
    return b"".join(parts)
