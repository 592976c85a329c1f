"""Checks migrations: none that has landed is edited, and a new one lets the portal go on meanwhile.

`migrations.py` checks, as a step of `make check`; `migrations.py --land` (`make land-migrations`)
adds new ones that pass to the list of those that have landed. docs/upgrades.md has the rules.
"""

import os
import sys
from collections.abc import Sequence

import django
from migration_rules.landed import (
    LANDED,
    ROOT,
    edited,
    landed_migrations,
    present_migrations,
    unlisted,
)

LISTING = "If it is final, list it: make land-migrations"


def main(arguments: Sequence[str]) -> int:
    if list(arguments) not in ([], ["--land"]):
        sys.stderr.write("Usage: migrations.py [--land]\n")
        return 2
    from migration_rules.rules import refusals  # of Django, which must have been set up

    landed, present = landed_migrations(), present_migrations()
    new = sorted(present.keys() - landed.keys())
    errors = [*edited(landed, present), *unlisted(landed)] or [
        f"{path}: {error}" for path in new for error in refusals(path)
    ]
    if not errors and arguments:
        listed = sorted({**landed, **present}.items())
        LANDED.write_text("".join(f"{digest}  {path}\n" for path, digest in listed))
    elif not errors:
        errors = [f"{path} is not in the list of landed migrations. {LISTING}" for path in new]
    for error in errors:
        sys.stdout.write(f"{error}\n")
    return 1 if errors else 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(ROOT))
    django.setup()
    sys.exit(main(sys.argv[1:]))
