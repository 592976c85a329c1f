"""Whether mails have to wait for the end of restoring a backup.

With PostgreSQL the backup is in its place before it is migrated and its mails are on hold
(`operations.backups`). A table without columns says so meanwhile: it comes with the backup, and
goes in the transaction that holds the mails. If restoring is killed in between, it stays.
"""

from django.db import connection

MARK = "permatoken_unsettled"
ADD_MARK = f"CREATE TABLE IF NOT EXISTS public.{MARK} ()"
BROKEN_OFF = (
    "A backup was put back, and restoring was broken off: no email is sent, since some may have "
    "been sent before. Stop the portal, and run manage.py restore again; or, if people have worked "
    "with it since, manage.py migrate, and manage.py settle_restored --made-at and the time of the "
    "backup."
)


def is_unsettled() -> bool:
    """SQLite's copy takes the place of the database when all is done."""
    if connection.vendor == "sqlite":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{MARK}"])
        return bool(cursor.fetchone()[0])


def drop_mark() -> None:
    """In the transaction that settles everything."""
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS public.{MARK}")
