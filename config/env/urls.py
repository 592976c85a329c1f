"""Parses the URLs of the portal, of its mail server and of identity providers, and the sender.

Errors are raised at the start of every process: found later, they would hold up people's mails.
"""

from email.utils import parseaddr
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.mail.message import sanitize_address
from django.utils.encoding import punycode
from environ import Env

SMTP = "django.core.mail.backends.smtp.EmailBackend"


def parse_base_url(url: str) -> SplitResult:
    """Parse the URL of the portal. An international name becomes ASCII, as browsers send it and
    mails can carry it: https://bücher.example is https://xn--bcher-kva.example."""
    try:
        parts = urlsplit(url.rstrip("/"))
        host, port = parts.hostname or "", parts.port
        ascii_host = host if host.isascii() else punycode(host)
    except ValueError:
        raise ImproperlyConfigured("BASE_URL must look like https://tokens.example.com.") from None
    if ascii_host == host:
        return parts
    return parts._replace(netloc=f"{ascii_host}:{port}" if port else ascii_host)


def parse_email_url(url: str) -> dict[str, Any]:
    """Return Django's settings for mail. Errors do not repeat the URL: it may hold a password."""
    try:
        facts: dict[str, Any] = Env.email_url_config(url)
        is_smtp = facts["EMAIL_BACKEND"] == SMTP
        if is_smtp:
            _check_server(facts)
    except (ImproperlyConfigured, ValueError):
        raise ImproperlyConfigured(
            "EMAIL_URL must look like smtp+tls://user:password@mail.example.com:587 "
            "(smtp:// without encryption, smtp+ssl:// for port 465), "
            "with user and password in ASCII."
        ) from None
    if is_smtp and facts["EMAIL_HOST_USER"] and not facts["EMAIL_HOST_PASSWORD"]:
        # Django would not log in, and not say so.
        raise ImproperlyConfigured(
            "EMAIL_URL must have a password with its user: "
            "smtp+tls://user:password@mail.example.com:587."
        )
    return facts


def parse_sender(text: str) -> str:
    """Check the sender of mails: an address, with or without a name before it."""
    try:
        address = parseaddr(sanitize_address(text, "utf-8"))[1]
    except Exception:  # the standard library's parser has one for every oddity
        address = ""
    name, at, domain = address.rpartition("@")
    if not (name and at and domain and address.isascii() and address.isprintable()):
        raise ImproperlyConfigured(
            f"FROM_EMAIL must look like Permatoken <noreply@example.com>, not {text!r}."
        )
    return text


def origin_of(parts: SplitResult) -> str:
    """The origin of a URL, as browsers write it: in lower case, without the scheme's own port."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    is_own = parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme))
    return f"{parts.scheme}://{host}" if is_own else f"{parts.scheme}://{host}:{parts.port}"


def parse_origins(texts: list[str], *, variable: str = "SSO_METADATA_ORIGINS") -> list[str]:
    """Check origins such as "https://idp.example.com" or "https://idp.example.com:8443"."""
    for text in texts:
        if not _is_origin(text):
            raise ImproperlyConfigured(
                f"{variable} must be addresses without a path such as "
                f"https://idp.example.com, separated by commas, not {text!r}."
            )
    return texts


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    is_bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    return bool(host) and parts.scheme in ("https", "http") and is_bare and "@" not in parts.netloc


def _check_server(facts: dict[str, Any]) -> None:
    """Raise `ValueError` for a host name that DNS cannot hold, or a login that is not ASCII."""
    if not facts["EMAIL_HOST"]:
        raise ValueError
    facts["EMAIL_HOST"].encode("idna")
    for secret in ("EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD"):
        (facts[secret] or "").encode("ascii")
