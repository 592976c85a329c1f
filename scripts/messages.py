"""`make messages`: bring the catalogues up to date with the code, and compile them.

Needs GNU gettext (Debian: apt-get install gettext). Nothing else does: the compiled catalogues are
part of the repository.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = [".venv", "var", "tests"]
NO_GETTEXT = "GNU gettext is not on the PATH; get it with: apt-get install gettext"


def main() -> int:
    """0 if every catalogue was merged and compiled."""
    if shutil.which("msgmerge") is None:
        sys.stderr.write(f"{NO_GETTEXT}\n")
        return 1
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="permatoken-messages-") as folder:
        os.environ.update(DJANGO_SETTINGS_MODULE="config.settings", DATA_DIR=folder)
        _update()
    return 0


def _update() -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.core.management.commands import makemessages
    from django.utils.translation import to_locale

    class Extraction(makemessages.Command):
        """Knows the names that our code gives to gettext, beside Django's own."""

        xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=_t"]

    django.setup()
    locales = [to_locale(code) for code, _name in settings.LANGUAGES if code != "en"]
    call_command(
        Extraction(),
        locale=locales,
        ignore_patterns=NOT_OURS,
        no_location=True,
        no_wrap=True,
        no_obsolete=True,
    )
    call_command("compilemessages", locale=locales, ignore_patterns=NOT_OURS)


if __name__ == "__main__":
    sys.exit(main())
