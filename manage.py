#!/usr/bin/env python
"""Django's command line: `manage.py help` lists what it can do."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        settings.INSTALLED_APPS  # noqa: B018  # loads the settings
    except ImproperlyConfigured as error:
        sys.exit(f"The settings cannot be used: {error}")
    from django.db import Error

    from config.database.outages import outage_of

    try:
        execute_from_command_line(sys.argv)
    except (Error, OSError) as error:
        outage = outage_of(error)
        if outage is None:
            raise
        sys.exit(f"{outage.title}: {error}")


if __name__ == "__main__":
    main()
