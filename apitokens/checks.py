"""System checks: peppers that stored tokens and verifier keys depend on."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connection
from django.db.models import Model

from apitokens import pepper_checks
from apitokens.models import APIToken, PepperCheck, VerifierKey


@register(Tags.security, deploy=True)
def own_peppers_when_scaled(**_facts: Any) -> list[CheckMessage]:
    """Machines that share a database must share the peppers."""
    is_shared = settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3"
    if not (is_shared and settings.TOKEN_PEPPERS_FILE):
        return []
    return [
        checks.Warning(
            f"The token peppers come from {settings.TOKEN_PEPPERS_FILE} while the database can be "
            "shared. A second machine would make its own and refuse every token.",
            hint="Set TOKEN_PEPPERS to the same value on every machine, for example to the content "
            "of that file.",
            id="apitokens.W001",
        )
    ]


@register(Tags.database)
def peppers_are_the_known_ones(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """The peppers must be those that the database knows by their numbers."""
    if not _has_tables(databases, PepperCheck):
        return []
    sentences = pepper_checks.wrong_peppers()
    return [checks.Error(sentence, id="apitokens.E002") for sentence in sentences]


@register(Tags.database)
def peppers_in_use_are_known(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """No token may depend on a pepper that is gone (`manage.py check --database default`)."""
    if not _has_tables(databases, VerifierKey):
        return []
    used: set[int | None] = set()
    for model in (APIToken, VerifierKey):
        undeleted = model.objects.filter(deleted_at=None).order_by()
        used.update(undeleted.values_list("pepper", flat=True).distinct())
    missing = sorted({number for number in used if number} - set(settings.TOKEN_PEPPERS))
    return [
        checks.Error(
            f"Tokens or verifier keys depend on pepper {number}, which TOKEN_PEPPERS lacks: "
            "they are refused.",
            hint="Put the pepper back until its keys were used once or have ended.",
            id="apitokens.E001",
        )
        for number in missing
    ]


def _has_tables(databases: Sequence[str] | None, model: type[Model]) -> bool:
    """True if the database may be asked, and is migrated as far as this model."""
    return bool(databases) and model._meta.db_table in connection.introspection.table_names()
