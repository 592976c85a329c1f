"""Ends a process whose settings cannot be used: one sentence, and an exit code of its own.

A supervisor need not start it again (systemd: `RestartPreventExitStatus=2`). A full disk is no such
setting: it ends the process with 1, and a later start goes on.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config.env.secret_files import NoRoom

WRONG_SETTING = 2
"""The exit code."""


@contextmanager
def wrong_setting() -> Iterator[None]:
    """End the process if the block finds that a setting cannot be used."""
    try:
        yield
    except NoRoom as full:
        sys.stderr.write(f"{full}\n")
        sys.exit(1)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"The settings can't be used: {error}\n")
        sys.exit(WRONG_SETTING)


def load_settings() -> None:
    """Load the settings, or end the process."""
    with wrong_setting():
        settings.INSTALLED_APPS  # noqa: B018  # loads them
