"""What a migration may do."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from migration_rules import RULES
from migration_rules.contractions import forget
from migration_rules.landed import releases
from migration_rules.operations import judge
from migration_rules.steps import Past, is_known, steps_of
from upgrades.operations import OUTSIDE_TRANSACTIONS, ChangeRowsInBatches

FACTS_OF_MIGRATIONS = {
    *("dependencies", "operations", "atomic", "initial", "run_before", "contracts"),
    *("__module__", "__doc__", "__qualname__", "__firstlineno__", "__static_attributes__"),
}
"""What the class of a migration may say; all else may do what no operation says."""


def refusals(path: str) -> Iterator[str]:
    """What speaks against a new migration."""
    loader = MigrationLoader(None, replace_migrations=False)
    key = (Path(path).parts[0], Path(path).stem)
    migration = loader.graph.nodes[key]
    start: Any = loader.project_state(key, at_end=False)
    before = [loader.graph.nodes[each] for each in loader.graph.forwards_plan(key) if each != key]
    release = getattr(migration, "contracts", None)
    is_released = release in releases()
    past = Past(key[0], start, before, release, is_released)
    if release is not None and not is_released:
        yield (
            "`contracts` must name the release since which nothing uses what goes, and it must "
            f"be one that the CHANGELOG has. {RULES}"
        )
    yield from _class(type(migration))
    if migration.run_before:
        yield (
            "must not stand before another one, which may have run: databases would have that one "
            f"without what it stands on. {RULES}"
        )
    steps = list(steps_of(key[0], migration.operations, start.clone()))
    yield from _mixture(migration, [each.operation for each in steps if each.touches_database])
    created: set[str] = set()
    for step in steps:
        if step.name == "CreateModel" and step.touches_database:
            created.add(step.operation.name_lower)
        table = getattr(
            step.operation, "model_name_lower", getattr(step.operation, "name_lower", None)
        )
        if not is_known(step.operation):
            yield (
                f"{step.name} is a kind of operation that this check does not know: use those of "
                f"Django and of upgrades.operations. {RULES}"
            )
        elif not step.touches_database:
            yield from forget(key[0], step)
        elif table not in created:
            yield from judge(step, past)


def _class(kind: type) -> Iterator[str]:
    others = sorted(vars(kind).keys() - FACTS_OF_MIGRATIONS)
    if "replaces" in others:
        yield (
            "must not replace others: a new database would have it in their place, and no check "
            f"looks at whether it does the same. {RULES}"
        )
    others = [each for each in others if each != "replaces"]
    if others or kind.__bases__ != (Migration,):
        yield (
            f"its class says more than this check knows ({', '.join(others) or 'its bases'}): say "
            f"all of it by operations. {RULES}"
        )


def _mixture(migration: Any, operations: Sequence[Any]) -> Iterator[str]:
    """Operations that run outside of a transaction stand apart: what else is there would not be
    undone with them, and could not be run again."""
    apart = [each for each in operations if isinstance(each, OUTSIDE_TRANSACTIONS)]
    if apart and migration.atomic:
        yield f"{type(apart[0]).__name__} needs `atomic = False` in the migration. {RULES}"
    if (apart or not migration.atomic) and len(apart) < len(operations):
        yield (
            "a migration with `atomic = False` holds operations of upgrades.operations alone, "
            f"which can be run again: give the others one of their own. {RULES}"
        )
    writers = [each for each in operations if isinstance(each, ChangeRowsInBatches)]
    if writers and len(writers) < len(operations):
        yield (
            "changes rows and the schema in one transaction, which holds the tables for as long: "
            f"make two migrations of it. {RULES}"
        )
