"""What an operation does to those who use the database meanwhile."""

import re
from collections.abc import Callable, Iterator

from migration_rules import RULES
from migration_rules.constraints import add_constraint, alter_constraint, remove_constraint
from migration_rules.contractions import CONTRACTIONS, contract
from migration_rules.fields import add_field, alter_field
from migration_rules.steps import Past, Step

HARMLESS_SQL = re.compile(
    r"\s*(COMMENT ON|DROP (TRIGGER|FUNCTION|VIEW))\b(?![^;]*\bCASCADE\b)[^;]*;?\s*", re.I
)
"""What RunSQL may do: nobody waits for it, and no older code needs what goes. (With CASCADE there
go indices, too.)"""
LARGEST_BATCH = 10_000
"""Rows: written in some hundred milliseconds."""
ONE_BY_ONE = {
    "AddIndex": "builds an index while nobody can write: use AddIndexConcurrently",
    "RemoveIndex": "removes an index while nobody can read: use RemoveIndexConcurrently",
    "RenameField": "breaks processes that still run the older code: add the new one, fill it in "
    "batches, and let the old one go a release later",
    "RemoveField": "breaks processes that still run the older code, which reads every column: take "
    "it out of the models first, by SeparateDatabaseAndState(state_operations=[…]), and use "
    "DropColumn of upgrades.operations a release later",
    "DeleteModel": "breaks processes that still run the older code: take it out of the models "
    "first, by SeparateDatabaseAndState(state_operations=[…]), and use DropTable of "
    "upgrades.operations a release later",
    "AlterUniqueTogether": "makes an index while nobody can use the table: use "
    "AddUniqueConcurrently",
    "AlterOrderWithRespectTo": "makes a column while nobody can use the table",
    "RunPython": "changes rows in one go: use ChangeRowsInBatches of upgrades.operations",
}
"""Operations that are always refused, and why."""
ONE_BY_ONE["RenameModel"] = ONE_BY_ONE["AlterModelTable"] = ONE_BY_ONE["RenameField"]
ONE_BY_ONE["AlterIndexTogether"] = ONE_BY_ONE["AddIndex"]
HARMLESS = {
    *("CreateModel", "AlterModelManagers", "AlterModelTableComment"),
    "RenameIndex",
    *("AddIndexConcurrently", "AddSearchIndexConcurrently", "RebuildSearchIndexConcurrently"),
    *("AddPrefixIndexConcurrently", "AddSortIndexConcurrently"),
}


def judge(step: Step, past: Past) -> Iterator[str]:
    name = step.name
    if name in ONE_BY_ONE:
        yield f"{name} {ONE_BY_ONE[name]}. {RULES}"
    elif name in CONTRACTIONS:
        yield from contract(step, past)
    elif name in JUDGES:
        yield from JUDGES[name](step, past)
    elif name not in HARMLESS:
        yield f"{name} is not known to let others go on meanwhile. {RULES}"


def _alter_options(step: Step, _past: Past) -> Iterator[str]:
    if "managed" in step.operation.options:
        yield f"`managed` keeps from the database what later migrations do. {RULES}"


def _run_sql(step: Step, _past: Past) -> Iterator[str]:
    operation = step.operation
    statements = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
    for each in statements:
        text = each if isinstance(each, str) else each[0]
        if text.strip() and not HARMLESS_SQL.fullmatch(text):
            yield (
                f"RunSQL is not known to let others go on ({text.strip()[:40]}): use operations, "
                f"ChangeRowsInBatches for rows. {RULES}"
            )


def _change_rows(step: Step, _past: Past) -> Iterator[str]:
    if step.operation.batch > LARGEST_BATCH:
        yield (
            f"ChangeRowsInBatches writes {step.operation.batch} rows in one transaction, for which "
            f"others wait: {LARGEST_BATCH} at most. {RULES}"
        )


JUDGES: dict[str, Callable[[Step, Past], Iterator[str]]] = {
    "AddField": add_field,
    "AlterField": alter_field,
    "AddConstraint": add_constraint,
    "AlterConstraint": alter_constraint,
    "AlterModelOptions": _alter_options,
    "RemoveConstraint": remove_constraint,
    "ChangeRowsInBatches": _change_rows,
    "RunSQL": _run_sql,
}
"""Operations that let others go on, or not, by what they say."""
