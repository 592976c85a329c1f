"""What is done to constraints."""

from collections.abc import Iterator
from typing import Any

from django.db.models import CheckConstraint, UniqueConstraint

from migration_rules import RULES
from migration_rules.steps import Past, Step


def add_constraint(step: Step, _past: Past) -> Iterator[str]:
    constraint = step.operation.constraint
    instead = {CheckConstraint: "AddCheckConcurrently", UniqueConstraint: "AddUniqueConcurrently"}
    name = instead.get(type(constraint))
    advice = f"use {name} of upgrades.operations" if name else "there is no way to do it meanwhile"
    yield f"adds a constraint while nobody can use the table: {advice}. {RULES}"


def remove_constraint(step: Step, past: Past) -> Iterator[str]:
    model = step.before.models[past.app, step.operation.model_name_lower]
    constraint = model.get_constraint_by_name(step.operation.name)
    if not isinstance(constraint, CheckConstraint) and not past.is_contraction:
        yield (
            f"{constraint.name} goes, on which older code may rely where it inserts or updates: "
            f"say `contracts` a release later. {RULES}"
        )


def alter_constraint(step: Step, past: Past) -> Iterator[str]:
    """It changes the models alone, so nothing may differ but what the database does not know."""
    operation = step.operation
    former, new = (
        _known_to_database(
            state.models[past.app, operation.model_name_lower].get_constraint_by_name(
                operation.name
            )
        )
        for state in (step.before, step.after)
    )
    if former != new:
        yield (
            f"AlterConstraint changes the models alone, and {operation.name} would stay as it is "
            f"in the database: add another constraint, and let this one go. {RULES}"
        )


def _known_to_database(constraint: Any) -> tuple[Any, ...]:
    path, arguments, facts = constraint.deconstruct()
    return path, arguments, {k: v for k, v in facts.items() if k not in constraint.non_db_attrs}
