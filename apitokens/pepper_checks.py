"""Tells whether this process has the peppers and the `SECRET_KEY` that the database knows.

With a wrong pepper, or without one that keys depend on, a process would refuse good tokens as
unknown, and nobody would see why; with another `SECRET_KEY` it would refuse the sign-ins of others.
So the database keeps a check value of each, and a process that does not fit does not serve.
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

from apitokens.models import APIToken, OldSecret, PepperCheck, VerifierKey
from apitokens.peppers import check_value, secret_key_check_value
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
WRONG_KEY = (
    "Neither SECRET_KEY nor one of SECRET_KEY_FALLBACKS of this process is the SECRET_KEY that the "
    "database knows: it would refuse the sign-ins of the other processes, and second factors. Set "
    "SECRET_KEY (or DATA_DIR/secret_key) as in the other processes. If the former one is lost, "
    "manage.py accept_secret_key makes this one known."
)


class WrongPeppers(Exception):
    """This process must not serve. The message says why and what to do; it holds no secret."""


@report.faults.register
def faults(at: datetime) -> list[str]:
    """Sentences about secrets of this process that are wrong, or that it lacks. Writes nothing."""
    lacking = sorted(_in_use_but_lacking(at))
    return wrong_secrets() + [LACKING.format(number=number) for number in lacking]


def wrong_secrets() -> list[str]:
    """A sentence about each pepper that is not the one that the database knows by its number, and
    about a `SECRET_KEY` that is not known."""
    known = _known()
    sentences = [
        WRONG.format(number=number)
        for number, pepper in settings.TOKEN_PEPPERS.items()
        if number in known and not hmac.compare_digest(known[number], check_value(pepper))
    ]
    secret_key = known.get(PepperCheck.SECRET_KEY)
    if secret_key is not None and secret_key not in _secret_keys():
        sentences.append(WRONG_KEY)
    return sentences


def accept_secret_key(*, at: datetime) -> None:
    """Make the `SECRET_KEY` of this process the known one, whatever was known before."""
    first = _secret_keys()[0]
    PepperCheck.objects.update_or_create(
        number=PepperCheck.SECRET_KEY, defaults={"check_value": first, "first_seen_at": at}
    )


def require_right_peppers(*, at: datetime) -> None:
    """Raises `WrongPeppers`, and Django's database errors if the database cannot be read.

    Peppers that the database sees for the first time become known to it. Of processes that show
    different ones at the same moment one is first, and the others are wrong. A `SECRET_KEY` that
    comes with the known one among its fallbacks becomes the known one.
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
    """The peppers must be those that the database knows by their numbers, and so must the key."""
    if not _has_tables(databases, PepperCheck):
        return []
    sentences = wrong_secrets()
    return [checks.Error(sentence, id="apitokens.E002") for sentence in sentences]


@register(Tags.database)
def peppers_in_use_are_known(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """No token may depend on a pepper that is gone (`manage.py check --database default`)."""
    if not _has_tables(databases, VerifierKey, OldSecret):
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
    old_secrets = OldSecret.objects.filter(other, ends_at__gt=at, token__deleted_at=None)
    verifiers = VerifierKey.objects.order_by().filter(other, deleted_at=None)
    numbers = tokens.values_list("pepper", flat=True).union(
        old_secrets.values_list("pepper"), verifiers.values_list("pepper")
    )
    return {number for number in numbers if number is not None}


def _other_numbers() -> Q:
    """The numbers that the ring does not have, as ranges: an index finds that there are none."""
    others = Q()
    for low, high in pairwise([0, *sorted(settings.TOKEN_PEPPERS), 1 << 15]):
        if high - low > 1:
            others |= Q(pepper__gt=low, pepper__lt=high)
    return others


def _record_new(at: datetime) -> bool:
    """Make new secrets known to the database; True if there were any. A database that is read only
    does not learn of them, and that is no reason not to serve."""
    known = _known()
    new = list(_new_checks(known, at))
    former = known.get(PepperCheck.SECRET_KEY)
    is_promoted = former is not None and former != _secret_keys()[0]
    if not (new or is_promoted):
        return False
    try:
        with transaction.atomic():
            PepperCheck.objects.bulk_create(new, ignore_conflicts=True)
            if is_promoted:
                row = PepperCheck.objects.filter(number=PepperCheck.SECRET_KEY, check_value=former)
                row.update(check_value=_secret_keys()[0], first_seen_at=at)
    except Error as error:
        if not _is_read_only(error):
            raise
        logger.warning("New peppers are not recorded: the database said: %s", error)
        return False
    return True


def _is_read_only(error: Error) -> bool:
    """True if the database takes no writes at all; otherwise the question is asked again."""
    return getattr(error.__cause__, "sqlstate", None) == "25006" or "readonly" in str(error)


def _new_checks(known: dict[int, bytes], at: datetime) -> Iterator[PepperCheck]:
    values = {number: check_value(pepper) for number, pepper in settings.TOKEN_PEPPERS.items()}
    values[PepperCheck.SECRET_KEY] = _secret_keys()[0]
    for number, value in values.items():
        if number not in known:
            yield PepperCheck(number=number, check_value=value, first_seen_at=at)


def _secret_keys() -> list[bytes]:
    """Check values of `SECRET_KEY`, which signs, and of its fallbacks, which only verify."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [secret_key_check_value(key) for key in keys]


def _has_tables(databases: Sequence[str] | None, *models: type[Model]) -> bool:
    """True if the database may be asked, and is migrated as far as these models."""
    if not databases:
        return False
    present = connection.introspection.table_names()
    return all(model._meta.db_table in present for model in models)
