"""What goes from the models or from the database."""

from collections.abc import Callable, Iterator
from typing import Any

from django.apps import apps
from django.db.models import Index, UniqueConstraint

from migration_rules import RULES
from migration_rules.columns import column_of, is_optional
from migration_rules.landed import landed_by
from migration_rules.steps import Past, Step

CONTRACTIONS = {
    "DropColumn": "breaks processes that still run the older code",
    "DropTable": "breaks processes that still run the older code",
    "RemoveIndexConcurrently": "takes the index by which older code finds rows",
    "RemoveForeignKeyIndexConcurrently": "takes the index by which older code finds rows",
    "AddCheckConcurrently": "refuses rows that older code may write",
    "AddUniqueConcurrently": "refuses rows that older code may write",
}
"""Operations that older code may not bear, and why."""


def forget(app: str, step: Step) -> Iterator[str]:
    """Of what goes from the models and stays in the database: new code cannot fill it."""
    name, operation = step.name, step.operation
    if name == "RemoveField":
        model = step.before.models.get((app, operation.model_name_lower))
        fields = [model.fields[operation.name]] if model else []
        if any(not is_optional(field) for field in fields):
            yield (
                f"{operation.model_name}.{operation.name} stays NOT NULL without a default in the "
                "database, so that the new code cannot insert rows: let it take NULL, or give it "
                f"`db_default`, in a migration before. {RULES}"
            )
    elif name == "DeleteModel":
        fields = list(step.before.models[app, operation.name_lower].fields.values())
    else:
        return
    if any(field.is_relation and getattr(field, "db_constraint", False) for field in fields):
        yield (
            f"{name} leaves a foreign key in the database, which keeps others from deleting what "
            f"it refers to: say db_constraint=False in a migration before. {RULES}"
        )


def contract(step: Step, past: Past) -> Iterator[str]:
    operation, name = step.operation, step.name
    if not past.is_contraction and not _is_covered(past.app, step):
        yield f"{name} {CONTRACTIONS[name]}: say `contracts` a release later. {RULES}"
    if name == "DropColumn":
        model = past.app, operation.model_name.lower()
        yield from _drop(step, past, lambda state: operation.column in _columns(state, model))
    elif name == "DropTable" and operation.table in _tables_of_others(past.app):
        yield _drops_what_is_used(step)
    elif name == "DropTable":
        yield from _drop(step, past, lambda state: operation.table in _tables(state))


def _drop(step: Step, past: Past, has: Callable[[Any], bool]) -> Iterator[str]:
    """Of what goes from the database: the models are without it since the release that the
    migration names."""
    if has(past.models):
        yield _drops_what_is_used(step)
    elif past.is_contraction and past.release is not None:
        landed, removal = landed_by(past.release), past.removal(has)
        if landed is None:
            yield (
                f"what {past.release} uses cannot be seen: the CHANGELOG must name its commit, "
                f"`## [0.1.0] - 2027-01-01 (1155e6af)`, and Git must have it. {RULES}"
            )
        elif removal not in landed:
            yield (
                f"{step.name} drops what {past.release} may still use: its list of landed "
                f"migrations has not the one that took it out of the models ({removal}). {RULES}"
            )


def _drops_what_is_used(step: Step) -> str:
    return (
        f"{step.name} drops what the models have: take it out of them first, by "
        f"SeparateDatabaseAndState(state_operations=[…]), and drop it a release later. {RULES}"
    )


def _columns(state: Any, model: tuple[str, str]) -> set[str]:
    fields = state.models[model].fields if model in state.models else {}
    return {column_of(*each) for each in fields.items() if not each[1].many_to_many}


def _is_covered(app: str, step: Step) -> bool:
    """Whether it is an index that goes, and older code finds its rows by another one, which was
    made before and begins with the same columns."""
    if step.name == "RemoveForeignKeyIndexConcurrently":
        return _begins_with(step.after.models[app, step.operation.model_name.lower()], step)
    if step.name != "RemoveIndexConcurrently":
        return False
    model = step.before.models[app, step.operation.model_name_lower]
    gone = model.get_index_by_name(step.operation.name)
    columns = gone.fields_orders
    return any(
        type(each) is type(gone)
        and each.name != gone.name
        and each.fields_orders[: len(columns)] == columns
        and each.condition == gone.condition
        for each in model.options["indexes"]
        if columns and not gone.include
    )


def _begins_with(model: Any, step: Step) -> bool:
    """Whether an index or a unique constraint of all rows begins with the field of the step."""
    return any(
        [*each.fields][:1] == [step.operation.name] and each.condition is None
        for each in (*model.options["indexes"], *model.options["constraints"])
        if type(each) in (Index, UniqueConstraint)
    )


def _tables(state: Any) -> Iterator[str]:
    for (app, name), model in state.models.items():
        table = model.options.get("db_table") or f"{app}_{name}"
        yield table
        for field_name, field in model.fields.items():
            if field.many_to_many:
                yield field.db_table or f"{table}_{field_name}"


def _tables_of_others(app: str) -> Iterator[str]:
    """Of apps that the migration may know nothing of."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.app_label != app:
            yield model._meta.db_table
