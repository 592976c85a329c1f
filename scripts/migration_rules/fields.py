"""What adding or changing a field does."""

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.models import F, Value
from django.db.models.expressions import ExpressionList
from django.db.models.functions import Now
from django.db.utils import ConnectionHandler

from migration_rules import RULES
from migration_rules.columns import column_of, field_of, is_optional
from migration_rules.steps import Past, Step

HARMLESS_CHANGES = {"default", "db_default", "null", "max_length", "db_index", "unique"}
"""Facts of a field that `_alter_facts` looks at one by one."""


def add_field(step: Step, _past: Past) -> Iterator[str]:
    operation = step.operation
    field, name = operation.field, f"{operation.model_name}.{operation.name}"
    if isinstance(field, models.ManyToManyField):
        return
    if isinstance(field, models.GeneratedField):
        yield f"{name} is computed for every row while nobody can use the table. {RULES}"
    elif not is_optional(field):
        yield (
            f"{name} is NOT NULL without a default in the database, so that older code cannot "
            f"insert rows: give it `db_default`. {RULES}"
        )
    if not _is_constant(field):
        yield (
            f"{name} has a default that is computed for every row while nobody can use the table: "
            f"give it a plain value, or NULL and ChangeRowsInBatches. {RULES}"
        )
    if _check(field):
        yield (
            f"{name} comes with a check, for which every row is read while nobody can use the "
            f"table: use a field without one, and AddCheckConcurrently. {RULES}"
        )
    if field.db_index or field.unique:
        yield (
            f"{name} comes with an index, which is built while nobody can use the table: say "
            f"db_index=False, and add it by AddIndexConcurrently or AddUniqueConcurrently. {RULES}"
        )


def _is_constant(field: Any) -> bool:
    """Whether PostgreSQL gives the default to the present rows without writing them."""
    default = field.db_default if field.has_db_default() else None
    if field.is_relation and default is not None:
        return False  # each row would be looked up
    return not hasattr(default, "resolve_expression") or type(default) in (Value, Now)


def _check(field: Any) -> str | None:
    """The check that comes with the column on PostgreSQL."""
    if field.is_relation:
        return None
    postgresql = ConnectionHandler({"default": {"ENGINE": "django.db.backends.postgresql"}})
    named = field.clone()
    named.set_attributes_from_name("name")
    check: str | None = named.db_check(postgresql["default"])
    return check


def alter_field(step: Step, past: Past) -> Iterator[str]:
    operation = step.operation
    old, new = (field_of(step, past.app, state) for state in (step.before, step.after))
    yield from _alter_facts(operation, old, new, past.is_contraction)
    if old.max_length != new.max_length:
        yield from _alter_length(step, past)


def _alter_facts(operation: Any, old: Any, new: Any, is_contraction: bool) -> Iterator[str]:
    name = f"{operation.model_name}.{operation.name}"
    facts, changed = _facts(old), _facts(new)
    differing = {
        key for key in facts.keys() | changed.keys() if facts.get(key) != changed.get(key)
    } - set(new.non_db_attrs)
    if not getattr(new, "db_constraint", True):
        differing -= {"db_constraint"}
    if old.db_column != new.db_column:
        yield f"{name} gets another column: that is a renaming. {RULES}"
    if (
        old.get_internal_type() != new.get_internal_type()
        or _is_shorter(old.max_length, new.max_length)
        or differing - HARMLESS_CHANGES
    ):
        yield (
            f"{name} changes its kind, so that every row is read or written while nobody can use "
            f"the table: add a new column. {RULES}"
        )
    if new.unique > old.unique or new.db_index > old.db_index:
        yield (
            f"{name} gets an index: add it by AddIndexConcurrently or AddUniqueConcurrently. "
            f"{RULES}"
        )
    if old.db_index and not (new.db_index or new.unique or old.unique):
        yield (
            f"{name} loses its index while nobody can read, and older code finds rows by it: give "
            f"the new index a name in Meta.indexes, and let this one stay. {RULES}"
        )
    if old.null and not new.null:
        yield (
            f"{name} takes no NULL any more, for which every row is read while nobody can use the "
            f"table: leave it, and use AddCheckConcurrently. {RULES}"
        )
    loses = (old.unique and not new.unique) or (old.has_db_default() and not new.has_db_default())
    if loses and not is_contraction:
        yield (
            f"{name} is not unique or has no default any more, on which older code may rely where "
            f"it inserts: say `contracts` a release later. {RULES}"
        )


def _alter_length(step: Step, past: Past) -> Iterator[str]:
    operation = step.operation
    model, name = operation.model_name_lower, operation.name
    column = column_of(name, field_of(step, past.app, step.before))
    built_anew = [
        *(
            each.name
            for each in past.search_indices()
            if (each.model_name.lower(), each.column) == (model, column)
        ),
        *_computed_from(step.before.models[past.app, model].options, name),
    ]
    if built_anew:
        yield (
            f"{operation.model_name}.{name} changes its length, for which {built_anew[0]} is built "
            "or looked at anew while nobody can use the table: add a new column, write both, and "
            f"fill it in batches. {RULES}"
        )


def _computed_from(options: Any, field: str) -> Iterator[str]:
    """The indices and constraints of an expression or a condition that have the field: PostgreSQL
    does not keep them when it changes its length."""
    for each in (*options["indexes"], *options["constraints"]):
        condition = getattr(each, "condition", None)
        names = set(condition.referenced_base_fields) if condition else set()
        if condition:
            names |= {name.removeprefix("-") for name in getattr(each, "fields", ())}
            names |= {*getattr(each, "include", ())}
        parts: Iterator[Any] = ExpressionList(*getattr(each, "expressions", ())).flatten()
        if field in names | {part.name for part in parts if isinstance(part, F)}:
            yield each.name


def _is_shorter(old: int | None, new: int | None) -> bool:
    return new is not None and (old is None or new < old)


def _facts(field: Any) -> dict[str, Any]:
    facts: dict[str, Any] = field.deconstruct()[3]
    return facts
