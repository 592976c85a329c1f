"""System checks of a deployment: what machines share, hosts, a proxy in front, static files."""

import json
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.http.request import validate_host

MANIFEST = "staticfiles.json"


@register(Tags.security, deploy=True)
def own_peppers_when_scaled(**_facts: Any) -> list[CheckMessage]:
    """Machines that share a database must share the peppers."""
    if not (_is_shared() and settings.TOKEN_PEPPERS_MADE_IN):
        return []
    return [
        checks.Warning(
            f"The token peppers come from {settings.TOKEN_PEPPERS_MADE_IN} while the database can "
            "be shared. A second machine would make its own and refuse every token.",
            hint="Set TOKEN_PEPPERS to the same value on every machine, for example to the content "
            "of that file.",
            id="apitokens.W001",
        )
    ]


@register(Tags.security, deploy=True)
def own_secret_key_when_scaled(**_facts: Any) -> list[CheckMessage]:
    """Machines that share a database must share the key that signs."""
    if not (_is_shared() and settings.SECRET_KEY_MADE_IN):
        return []
    return [
        checks.Warning(
            f"SECRET_KEY comes from {settings.SECRET_KEY_MADE_IN} while the database can be "
            "shared. A second machine would make its own, and not start.",
            hint="Set SECRET_KEY to the same value on every machine, for example to the content of "
            "that file.",
            id="apitokens.W005",
        )
    ]


@register(Tags.security, deploy=True)
def own_limits_when_scaled(**_facts: Any) -> list[CheckMessage]:
    """Machines that share a database must share limits and the queue."""
    if not _is_shared() or settings.REDIS_URL:
        return []
    return [
        checks.Warning(
            "REDIS_URL is not set while the database can be shared: limits of tries are counted "
            "on each machine by itself, and each queues tasks for itself.",
            hint="Set REDIS_URL to the same Redis on every machine.",
            id="apitokens.W006",
        )
    ]


@register(Tags.security, deploy=True)
def proxy_stands_in_front(**_facts: Any) -> list[CheckMessage]:
    """Few clients that send bodies slowly keep everybody else's forms waiting (and nothing else),
    and few that take large files slowly the large files of others; a proxy receives both before it
    hands them on."""
    if settings.TRUSTED_PROXIES or not settings.BASE_URL.startswith("https:"):
        return []
    return [
        checks.Warning(
            "No proxy is trusted: if strangers reach the portal itself, slow uploads keep forms "
            "and the API busy, and slow downloads keep others from large files; if they come "
            "through a proxy, all of them count as one.",
            hint="Let a proxy stand in front that buffers requests and answers, and drops header "
            "names with underscores, which no server can tell from those with hyphens (nginx does "
            "all of it), and name it in TRUSTED_PROXIES.",
            id="apitokens.W004",
        )
    ]


@register(Tags.security, deploy=True)
def hosts_are_the_portals(**_facts: Any) -> list[CheckMessage]:
    """Requests are answered for the portal's host, and for no other."""
    host = _portals_host()
    found: list[CheckMessage] = []
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            checks.Warning(
                "ALLOWED_HOSTS has *: requests are answered for whatever host they name.",
                hint="List the names of the portal alone.",
                id="apitokens.W007",
            )
        )
    elif not validate_host(host, settings.ALLOWED_HOSTS):
        found.append(
            checks.Warning(
                f"ALLOWED_HOSTS lacks {host}, the host of BASE_URL: all that it is asked is 400.",
                hint="Add it, or leave ALLOWED_HOSTS out.",
                id="apitokens.W008",
            )
        )
    return found


@register(Tags.security, deploy=True)
def proxies_are_few(**_facts: Any) -> list[CheckMessage]:
    """What a trusted proxy says of its client is believed."""
    everybody = [str(each) for each in settings.TRUSTED_PROXIES if each.prefixlen == 0]
    if not everybody:
        return []
    return [
        checks.Warning(
            f"TRUSTED_PROXIES has {everybody[0]}: everybody can tell the portal any address for "
            "theirs, and escape its limits.",
            hint="List the addresses or networks of your proxies alone.",
            id="apitokens.W009",
        )
    ]


@register(deploy=True)
def static_files_are_collected(**_facts: Any) -> list[CheckMessage]:
    """Pages name static files by their content, and fail without the manifest that knows it."""
    missing = sorted(_files() - _collected())
    if not missing:
        return []
    return [
        checks.Warning(
            f"Static files are not collected in {settings.STATIC_ROOT} ({missing[0]} and "
            f"{len(missing) - 1} more): pages cannot be shown.",
            hint="Run manage.py collectstatic --noinput, once for each release.",
            id="apitokens.W002",
        )
    ]


def _portals_host() -> str:
    host = urlsplit(settings.BASE_URL).hostname or ""
    return f"[{host}]" if ":" in host else host


def _is_shared() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3")


def _files() -> set[str]:
    """The portal's own static files."""
    (folder,) = settings.STATICFILES_DIRS
    return {
        path
        for path, storage in finders.FileSystemFinder().list(ignore_patterns=[])
        if storage.location == str(folder)
    }


def _collected() -> set[str]:
    try:
        manifest = json.loads((settings.STATIC_ROOT / MANIFEST).read_text())
        return set(manifest["paths"])
    except (OSError, ValueError, KeyError):
        return set()
