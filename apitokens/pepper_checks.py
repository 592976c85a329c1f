"""Tells whether this process has the peppers that the database knows.

With a wrong pepper, or without one that keys depend on, a process would refuse good tokens as
unknown, and nobody would see why. So the database keeps a check value of each pepper, and a process
that does not fit does not serve.
"""

import hmac
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import Error, connection, transaction
from django.db.models import Model, Q
from django.utils import timezone

from apitokens.models import APIToken, PepperCheck, VerifierKey
from apitokens.peppers import check_value
from notifications.health import report

logger = logging.getLogger(__name__)

WRONG = (
    "Pepper {number} of this process is not the one that the database knows by this number: tokens "
    "would be refused as unknown. Set TOKEN_PEPPERS (or DATA_DIR/token_peppers) as in the other "
    "processes; a new pepper needs a number that was never used."
)
LACKING = (
    "Tokens or verifier keys in use depend on pepper {number}, which TOKEN_PEPPERS lacks: they "
    "would be refused as unknown. Put it back until each of them was used once or has ended, or "
    "end them with manage.py revoke_tokens --pepper {number}."
)


class WrongPeppers(Exception):
    """This process must not serve. The message says why and what to do; it holds no secret."""


@report.faults.register
def faults(at: datetime) -> list[str]:
    """Sentences about peppers of this process that are wrong, or that it lacks. Writes nothing."""
    lacking = sorted(_in_use_but_lacking(at))
    return wrong_peppers() + [LACKING.format(number=number) for number in lacking]


def wrong_peppers() -> list[str]:
    """A sentence about each pepper that is not the one that the database knows by its number."""
    known = _known()
    return [
        WRONG.format(number=number)
        for number, pepper in settings.TOKEN_PEPPERS.items()
        if number in known and not hmac.compare_digest(known[number], check_value(pepper))
    ]


def require_right_peppers(*, at: datetime) -> None:
    """Raises `WrongPeppers`, and Django's database errors if the database cannot be read.

    Peppers that the database sees for the first time become known to it. Of processes that show
    different ones at the same moment one is first, and the others are wrong.
    """
    found = faults(at)
    if not found and _record_new(at):
        found = faults(at)
    if found:
        raise WrongPeppers(" ".join(found))


class PepperGuard:
    """Remembers that the peppers of this process are right. Until then it asks again each time: a
    database that is away must not keep a process from starting."""

    def __init__(self) -> None:
        self.is_confirmed = False

    def refusal(self) -> str | None:
        """The reason why this process must not serve; None if there is none, as far as known."""
        if self.is_confirmed:
            return None
        try:
            require_right_peppers(at=timezone.now())
        except WrongPeppers as wrong:
            return str(wrong)
        except Error:
            _close()
            return None
        except Exception:  # stands in front of Django, which answers what it can
            logger.exception("The peppers could not be checked.")
            return None
        self.is_confirmed = True
        return None

    def refusal_at_start(self) -> str | None:
        """As `refusal`, where a process starts. Whatever hinders the question is no reason not to
        start."""
        try:
            refusal = self.refusal()
            _close()
        except Exception as error:
            logger.warning("The peppers are checked later: %s", error)
            return None
        if refusal is None and not self.is_confirmed:
            logger.warning("The peppers are checked when the database answers.")
        return refusal


@register(Tags.database)
def peppers_are_the_known_ones(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """The peppers must be those that the database knows by their numbers."""
    if not _has_tables(databases, PepperCheck):
        return []
    sentences = wrong_peppers()
    return [checks.Error(sentence, id="apitokens.E002") for sentence in sentences]


@register(Tags.database)
def peppers_in_use_are_known(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """No token may depend on a pepper that is gone (`manage.py check --database default`)."""
    if not _has_tables(databases, VerifierKey):
        return []
    missing = sorted(_in_use_but_lacking(timezone.now()))
    return [
        checks.Error(
            f"Tokens or verifier keys depend on pepper {number}, which TOKEN_PEPPERS lacks: "
            "they are refused.",
            hint="Put the pepper back until its keys were used once or have ended.",
            id="apitokens.E001",
        )
        for number in missing
    ]


def _close() -> None:
    """Let go of the connection: processes may be forked from this one, and a broken one is of no
    use to the request that follows."""
    if not connection.in_atomic_block:
        connection.close()


def _known() -> dict[int, bytes]:
    rows = PepperCheck.objects.values_list("number", "check_value")
    return {number: bytes(value) for number, value in rows}


def _in_use_but_lacking(at: datetime) -> set[int]:
    """Numbers of peppers that living keys depend on, and this process does not have."""
    living = Q(expires_at=None) | Q(expires_at__gt=at)
    other = _other_numbers()
    tokens = APIToken.objects.order_by().filter(
        living, other, deleted_at=None, digest__isnull=False
    )
    verifiers = VerifierKey.objects.order_by().filter(other, deleted_at=None)
    numbers = tokens.values_list("pepper", flat=True).union(verifiers.values_list("pepper"))
    return {number for number in numbers if number is not None}


def _other_numbers() -> Q:
    """The numbers that the ring does not have, as ranges: an index finds that there are none."""
    others = Q()
    for low, high in pairwise([0, *sorted(settings.TOKEN_PEPPERS), 1 << 15]):
        if high - low > 1:
            others |= Q(pepper__gt=low, pepper__lt=high)
    return others


def _record_new(at: datetime) -> bool:
    """Make new peppers known to the database; True if there were any. A database that is read only
    does not learn of them, and that is no reason not to serve."""
    new = list(_new_checks(at))
    if not new:
        return False
    try:
        with transaction.atomic():
            PepperCheck.objects.bulk_create(new, ignore_conflicts=True)
    except Error as error:
        if not _is_read_only(error):
            raise
        logger.warning("New peppers are not recorded: the database said: %s", error)
        return False
    return True


def _is_read_only(error: Error) -> bool:
    """True if the database takes no writes at all; otherwise the question is asked again."""
    return getattr(error.__cause__, "sqlstate", None) == "25006" or "readonly" in str(error)


def _new_checks(at: datetime) -> Iterator[PepperCheck]:
    known = _known()
    for number, pepper in settings.TOKEN_PEPPERS.items():
        if number not in known:
            yield PepperCheck(number=number, check_value=check_value(pepper), first_seen_at=at)


def _has_tables(databases: Sequence[str] | None, model: type[Model]) -> bool:
    """True if the database may be asked, and is migrated as far as this model."""
    return bool(databases) and model._meta.db_table in connection.introspection.table_names()
