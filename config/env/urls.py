"""Parses the URLs of the portal, of Redis, of the mail server and of identity providers, and the
sender of mails.

Errors are raised at the start of every process: found later, they would hold up people's mails.
"""

from email.utils import parseaddr
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.mail.message import sanitize_address
from django.utils.encoding import punycode
from environ import Env

from config.env.networks import as_browsers_send, is_host, is_site
from config.env.url_parts import split_url, without_nul

_TLS_OPTIONS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
_MAIL_SCHEMES = {*MAIL_PORTS, "filemail", "consolemail"}
"""Not `smtps`, which is TLS from the start for some and STARTTLS for others."""
_CERT_REQS = ("required", "optional", "none")
_TAKEN_OTHERWISE = {*"ßẞς\u200c\u200d"}
"""In the older of two standards of international names (IDNA 2003) and the newer one."""
SMTP = "django.core.mail.backends.smtp.EmailBackend"


def parse_base_url(url: str) -> SplitResult:
    """Parse the URL of the portal. An international name becomes ASCII, as browsers send it and
    mails can carry it: https://bücher.example is https://xn--bcher-kva.example. A port that is the
    scheme's own and the root's dot are left out.

    The portal has a host of its own: below a path its cookies, links and redirects would belong to
    whatever else is served there.
    """
    try:
        parts = split_url(url.rstrip("/"))
        host, port = parts.hostname or "", parts.port
        ascii_host = _in_ascii(host)
        is_bare = not (parts.path or parts.query or "@" in parts.netloc)
        if parts.scheme not in ("http", "https") or not host or port == 0 or not is_bare:
            raise ValueError
        netloc = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
        if not is_site(netloc):
            raise ValueError
    except ValueError:
        raise ImproperlyConfigured(
            "BASE_URL must look like https://tokens.example.com: a host of the portal's own, "
            "with no path behind it, no underscore, and no ß (of which xn--… is the form in ASCII)."
        ) from None
    netloc = as_browsers_send(netloc.removesuffix("."))
    return urlsplit(origin_of(parts._replace(netloc=f"{netloc}:{port}" if port else netloc)))


def parse_redis_url(url: str) -> str:
    """Check the URL of Redis. Errors do not repeat it: it may hold a password. Cache and queue read
    it by two libraries, which agree on no more than this: one of them takes a misspelled
    `ssl_cert_reqs` for "none", and each takes another one of two."""
    try:
        parts = split_url(url)
        number = parts.path.removeprefix("/")
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        is_known = all(name in _TLS_OPTIONS and value for name, value in options)
        is_once = len(dict(options)) == len(options)
        checks = dict(options).get("ssl_cert_reqs", "required")
        is_number = not number or (number.isascii() and number.isdecimal())
        if parts.scheme not in ("redis", "rediss") or parts.port == 0:
            raise ValueError
        if not is_host(parts.hostname or ""):
            raise ValueError
        if not (is_number and is_known) or (options and parts.scheme == "redis"):
            raise ValueError
        if not is_once or checks not in _CERT_REQS:
            raise ValueError
    except ValueError:
        raise ImproperlyConfigured(
            "REDIS_URL must look like redis://:password@host:6379/0, or rediss:// with TLS and "
            f"behind a question mark nothing but {', '.join(_TLS_OPTIONS)}, each once; "
            f"ssl_cert_reqs is {', '.join(_CERT_REQS)}."
        ) from None
    return parts.scheme + url[len(parts.scheme) :]  # in lower case, as the libraries compare it


def parse_email_url(url: str) -> dict[str, Any]:
    """Return Django's settings for mail. Errors do not repeat the URL: it may hold a password."""
    try:
        parts = split_url(url)
        if parts.scheme not in _MAIL_SCHEMES or parts.port == 0:
            raise ValueError
        facts: dict[str, Any] = Env.email_url_config(url)
        is_smtp = facts["EMAIL_BACKEND"] == SMTP
        if parts.query or (parts.path.strip("/") if is_smtp else parts.netloc):
            raise ValueError  # would be ignored
        facts["EMAIL_FILE_PATH"] = without_nul(unquote(parts.path))
        if is_smtp:
            _check_server(facts)
            facts["EMAIL_PORT"] = parts.port or MAIL_PORTS[parts.scheme]
    except (ImproperlyConfigured, ValueError):
        raise ImproperlyConfigured(
            "EMAIL_URL must look like smtp+tls://user:password@mail.example.com:587 "
            "(smtp:// without encryption, smtp+ssl:// with TLS from the start, "
            "filemail:///path/to/folder), "
            "with user and password in ASCII, special characters as %40, and nothing behind."
        ) from None
    if is_smtp and bool(facts["EMAIL_HOST_USER"]) != bool(facts["EMAIL_HOST_PASSWORD"]):
        # Django would not log in, and not say so.
        raise ImproperlyConfigured(
            "EMAIL_URL must have a user and a password, or neither: "
            "smtp+tls://user:password@mail.example.com:587."
        )
    return facts


def parse_sender(text: str) -> str:
    """Check the sender of mails: an address, with or without a name before it."""
    try:
        _in_ascii(text.rpartition("@")[2].rstrip("> "))
        address = parseaddr(sanitize_address(text, "utf-8"))[1]
    except Exception:  # the standard library's parser has one for every oddity
        address = ""
    name, at, domain = address.rpartition("@")
    is_known = is_host(domain) or (domain.startswith("[") and domain.endswith("]"))
    is_plain = name.isascii() and not {*' "<>'} & set(name)
    if not (name and at and is_known and is_plain and text.isprintable()):
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


def parse_passkey_origins(texts: list[str], base: SplitResult) -> list[str]:
    """Check where else passkeys are used: browsers know them by the host of `BASE_URL` alone (its
    relying party ID), there and on subdomains, with TLS but on this machine."""
    host = base.hostname or ""
    origins = [urlsplit(text) for text in parse_origins("PASSKEY_ORIGINS", texts)]
    for parts in origins:
        name = parts.hostname or ""
        is_local = name == "localhost" or name.endswith(".localhost")
        is_below = name == host or name.endswith(f".{host}")
        if not (is_below and (parts.scheme == "https" or is_local)):
            raise ImproperlyConfigured(
                f"PASSKEY_ORIGINS must be addresses with https:// of {host!r}, the host of "
                f"BASE_URL, or of its subdomains, not {parts.geturl()!r}: browsers use passkeys "
                "nowhere else."
            )
    return [origin_of(base), *map(origin_of, origins)]


def ehlo_name(host: str, sender: str) -> str:
    """The name to introduce the portal by (RFC 5321, 4.1.1.1): its host, an IP address in brackets,
    or the domain of its sender. Empty if both are this machine's alone."""
    address = parseaddr(sanitize_address(sender, "utf-8"))[1]
    for name in (host, address.rpartition("@")[2]):
        try:
            ip = ip_address(name)
        except ValueError:
            if "." in name:
                return name
        else:
            if not ip.is_loopback:
                return f"[IPv6:{ip}]" if ip.version == 6 else f"[{ip}]"
    return ""


def parse_origins(name: str, texts: list[str]) -> list[str]:
    """Check origins such as "https://idp.example.com" or "https://idp.example.com:8443"; `name` is
    the variable that they come from."""
    for text in texts:
        if not _is_origin(text):
            raise ImproperlyConfigured(
                f"{name} must be addresses without a path such as "
                f"https://idp.example.com, separated by commas, not {text!r}."
            )
    return texts


def _is_origin(text: str) -> bool:
    try:
        parts = split_url(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    is_bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    is_named = host is not None and is_host(host)
    return is_named and parts.scheme in ("https", "http") and is_bare and "@" not in parts.netloc


def _in_ascii(host: str) -> str:
    """The host name as DNS has it. Raises `ValueError`, also for letters of which Python makes
    others ("ß" is "ss" there), and browsers do not: it would be the name of another host."""
    if _TAKEN_OTHERWISE & set(host):
        raise ValueError
    return punycode(host)


def _check_server(facts: dict[str, Any]) -> None:
    """Raise `ValueError` for a host name that DNS cannot hold, or a login that is not ASCII."""
    host = facts["EMAIL_HOST"] or ""
    if not is_host(host if ":" in host else _in_ascii(host)):
        raise ValueError
    for secret in ("EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD"):
        (facts[secret] or "").encode("ascii")
