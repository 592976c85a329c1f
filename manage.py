#!/usr/bin/env python
"""Django's command line: `manage.py help` lists what it can do."""

import os
import sys
from pathlib import Path

NO_TABLE = ("42P01", "42703")
"""SQLSTATE of PostgreSQL for a table or column that is not there."""

ONLY_LOOKS = {"backup": "copied", "doctor": "examined"}
"""Commands on a portal that is there, and what they do with it."""


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from config.env.start import load_settings, wrong_setting
    except ModuleNotFoundError:
        sys.exit(
            "This Python has none of the portal's packages: run .venv/bin/python manage.py, which "
            "`make prepare-run` makes."
        )
    from django.core.management import execute_from_command_line

    if (command := "".join(sys.argv[1:2])) in ONLY_LOOKS:
        with wrong_setting():
            _find_database(ONLY_LOOKS[command])
    load_settings()
    from django.db import Error

    try:
        execute_from_command_line(sys.argv)
    except (Error, OSError) as error:
        words = None if "--traceback" in sys.argv else _explain(error)
        if words is None:
            raise
        sys.exit(words)


def _find_database(done: str) -> None:
    """Look for the database before the settings are read: in a folder that is none of the portal's
    they would make new secrets. `done` is what would have been done with it."""
    from config.env.given import is_given
    from config.env.secret_files import data_folder

    is_elsewhere, wants_help = is_given("DATABASE_URL"), {"-h", "--help"} & set(sys.argv)
    default = Path(__file__).resolve().parent / "var"
    file = data_folder(os.environ.get("DATA_DIR") or default) / "permatoken.sqlite3"
    if not (is_elsewhere or wants_help or file.exists()):
        sys.exit(f"There is no {file}: nothing was {done}. Set DATA_DIR as the portal has it.")


def _explain(error: Exception) -> str | None:
    """What is wrong with the database, and what to do; None for another kind of error."""
    from django.db import connection

    from config.database.outages import outage_of

    reason = str(error).partition("\n")[0]
    facts = connection.settings_dict
    place = ":".join(str(facts[name]) for name in ("HOST", "PORT") if facts[name])
    name = f"{facts['NAME']} at {place}" if place else str(facts["NAME"])
    if getattr(error.__cause__, "sqlstate", None) in NO_TABLE or reason.startswith("no such "):
        return (
            f"The database {name} is not prepared ({reason}). If the portal has its data "
            "elsewhere, set DATA_DIR or DATABASE_URL as it does; else prepare this one: "
            "manage.py migrate"
        )
    outage = outage_of(error)
    return f"{outage.title}: {error}" if outage else None


if __name__ == "__main__":
    main()
