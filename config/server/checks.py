"""System check: static files that were not collected."""

import json
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core import checks
from django.core.checks import CheckMessage, register

MANIFEST = "staticfiles.json"


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
            id="config.W001",
        )
    ]


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
