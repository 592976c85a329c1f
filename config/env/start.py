"""Ends a process whose settings cannot be used: one sentence, and an exit code of its own.

A supervisor need not start it again (systemd: `RestartPreventExitStatus=2`).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

WRONG_SETTING = 2
"""The exit code."""


@contextmanager
def wrong_setting() -> Iterator[None]:
    """End the process if the block finds that a setting cannot be used."""
    try:
        yield
    except ImproperlyConfigured as error:
        sys.stderr.write(f"The settings can't be used: {error}\n")
        sys.exit(WRONG_SETTING)


def load_settings() -> None:
    """Load the settings, or end the process."""
    with wrong_setting():
        settings.INSTALLED_APPS  # noqa: B018  # loads them
