"""System checks of what travels in clear between machines."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from notifications.email.transport import SMTP

_ENCRYPTS = ("require", "verify-ca", "verify-full")


@register(Tags.security, deploy=True)
def people_come_by_https(**_facts: Any) -> list[CheckMessage]:
    """Tokens, passwords and sessions must not be read on their way."""
    base = urlsplit(settings.BASE_URL)
    if base.scheme == "https" or is_this_machine(base.hostname or ""):
        return []
    return [
        checks.Warning(
            f"BASE_URL is {settings.BASE_URL}, without TLS: anybody in between reads "
            "passwords, sessions and tokens.",
            hint="Let a proxy with a certificate stand in front, and set BASE_URL to https://…",
            id="operations.W003",
        )
    ]


@register(Tags.security, deploy=True)
def servers_are_reached_by_tls(**_facts: Any) -> list[CheckMessage]:
    """Other machines are asked through a network that others may listen to."""
    return [
        checks.Warning(
            f"{name} leads to another machine without TLS: {what} travels in clear.",
            hint=f"Unless that network is yours alone, {mend}.",
            id="operations.W004",
        )
        for name, is_clear, what, mend in (
            ("DATABASE_URL", _database_is_clear(), "everything that is stored", _DATABASE),
            ("REDIS_URL", _redis_is_clear(), "what is queued, with a password", _REDIS),
            ("EMAIL_URL", _mail_is_clear(), "every email, with its links,", _MAIL),
        )
        if is_clear
    ]


_DATABASE = "add ?sslmode=verify-full&sslrootcert=/path/to/ca.pem, or sslmode=require at the least"
_REDIS = "write rediss://"
_MAIL = "write smtp+tls:// or smtp+ssl://"


def is_this_machine(host: str) -> bool:
    """True for names and addresses of the loopback, for a socket's folder, and for none."""
    if not host or host.startswith("/") or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _database_is_clear() -> bool:
    database = settings.DATABASES["default"]
    hosts = str(database.get("HOST") or database["OPTIONS"].get("host") or "").split(",")
    mode = database["OPTIONS"].get("sslmode")
    return not all(map(is_this_machine, hosts)) and mode not in _ENCRYPTS


def _redis_is_clear() -> bool:
    parts = urlsplit(settings.REDIS_URL)
    return parts.scheme == "redis" and not is_this_machine(parts.hostname or "")


def _mail_is_clear() -> bool:
    encrypts = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    is_smtp = settings.EMAIL_BACKEND == SMTP
    return is_smtp and not encrypts and not is_this_machine(settings.EMAIL_HOST)
