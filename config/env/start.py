"""Ends a process whose settings cannot be used: one sentence, and an exit code of its own.

A supervisor need not start it again (systemd: `RestartPreventExitStatus=2`).
"""

import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

WRONG_SETTING = 2
"""The exit code."""


def load_settings() -> None:
    """Load the settings, or end the process."""
    try:
        settings.INSTALLED_APPS  # noqa: B018  # loads them
    except ImproperlyConfigured as error:
        sys.stderr.write(f"The settings can't be used: {error}\n")
        sys.exit(WRONG_SETTING)
