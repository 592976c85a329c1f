"""Tells failures of the database, or of the disk below it, from faults of the program.

A failure has an answer: 503, when to come again, and a sentence. Whatever is not known to be one is
a fault, and stays one.
"""

import errno
import sqlite3
from enum import Enum
from typing import Self

from django.db import Error, InterfaceError, OperationalError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class Outage(Enum):
    """The code of a failure, when to try again (in seconds), and what people are told."""

    BUSY = (
        "busy",
        5,
        _("This is taking too long"),
        _(
            "The portal is busy, or someone else is changing the same data. Nothing was changed. "
            "Wait a few seconds, then try again."
        ),
    )
    FULL = (
        "disk_full",
        60,
        _("Storage is full"),
        _(
            "Nothing was changed, and your data can still be read. Contact the operator of this "
            "portal, and try again later."
        ),
    )
    READ_ONLY = (
        "read_only",
        30,
        _("The portal is read-only right now"),
        _(
            "Changes can't be saved at the moment. Nothing was changed. Wait a minute, then try "
            "again."
        ),
    )
    AWAY = (
        "unavailable",
        5,
        _("The portal can't reach its database"),
        _(
            "Wait a few seconds, then try again. If you were changing something, first check "
            "whether it was saved."
        ),
    )

    code: str
    retry_after: int
    title: Promise
    explanation: Promise

    def __new__(cls, code: str, retry_after: int, title: Promise, explanation: Promise) -> Self:
        outage = object.__new__(cls)
        outage._value_ = code  # the others are translated when they are compared: too early here
        outage.code, outage.retry_after = code, retry_after
        outage.title, outage.explanation = title, explanation
        return outage


_BY_STATE = {
    "25006": Outage.READ_ONLY,
    "25P03": Outage.BUSY,  # idle_in_transaction_session_timeout
    "25P04": Outage.BUSY,  # transaction_timeout
    "40001": Outage.BUSY,  # serialization failure
    "40P01": Outage.BUSY,  # deadlock
    "53100": Outage.FULL,
    "55P03": Outage.BUSY,  # lock_timeout
    "57014": Outage.BUSY,  # statement_timeout
}
_AWAY_CLASSES = ("08", "28", "3D", "53", "57", "58")
"""Connection, a login or a database that is not known (yet, or after a change of passwords),
resources (too many connections), shutdown, and what stands below the server."""
_BY_SQLITE_CODE = {
    sqlite3.SQLITE_BUSY: Outage.BUSY,
    sqlite3.SQLITE_LOCKED: Outage.BUSY,
    sqlite3.SQLITE_PROTOCOL: Outage.BUSY,  # a race for the log of writes that was lost too often
    sqlite3.SQLITE_READONLY: Outage.READ_ONLY,
    sqlite3.SQLITE_FULL: Outage.FULL,
    sqlite3.SQLITE_IOERR: Outage.AWAY,
    sqlite3.SQLITE_CANTOPEN: Outage.AWAY,
}


def outage_of(error: BaseException | None) -> Outage | None:
    """The failure behind an exception; None for everything else."""
    if isinstance(error, OSError):
        return Outage.FULL if error.errno in FULL_DISK else None
    cause = error.__cause__ if isinstance(error, Error) and error.__cause__ else error
    if isinstance(cause, sqlite3.Error):
        # The last byte is the error, what stands before says more of it.
        return _BY_SQLITE_CODE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    if state := getattr(cause, "sqlstate", None):
        away = Outage.AWAY if state.startswith(_AWAY_CLASSES) else None
        return _BY_STATE.get(state, away)
    return Outage.AWAY if isinstance(error, OperationalError | InterfaceError) else None
