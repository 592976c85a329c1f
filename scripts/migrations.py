"""Checks migrations: none that has landed is edited, and a new one lets the portal go on meanwhile.

`migrations.py` checks, as a step of `make check`; `migrations.py --land` (`make land-migrations`)
adds new ones that pass to the list of those that have landed. docs/upgrades.md has the rules.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import django

ROOT = Path(__file__).resolve().parent.parent
LANDED = ROOT / "scripts" / "landed-migrations.sha256"
"""As `sha256sum` writes it."""
RULES = "See docs/upgrades.md."
LISTING = "If it is final, list it: make land-migrations"

WRITES_ROWS = re.compile(r"^\s*(INSERT|UPDATE|DELETE|MERGE|TRUNCATE)\b", re.I | re.M)
RENAMES = ("RenameField", "RenameModel", "AlterModelTable")
REMOVES = ("RemoveField", "DeleteModel")
OF_WHOLE_TABLES = ("AlterUniqueTogether", "AlterIndexTogether", "AlterOrderWithRespectTo")
HARMLESS_CHANGES = {"default", "db_default", "null", "max_length"}
"""Facts of a field whose change reads and writes no row; `_alter_field` looks at the directions."""


def main(arguments: Sequence[str]) -> int:
    if list(arguments) not in ([], ["--land"]):
        sys.stderr.write("Usage: migrations.py [--land]\n")
        return 2
    landed, present = _landed(), _present()
    new = sorted(present.keys() - landed.keys())
    errors = list(_edited(landed, present)) or [
        f"{path}: {error}" for path in new for error in _lint(path)
    ]
    if not errors and arguments:
        listed = sorted({**landed, **present}.items())
        LANDED.write_text("".join(f"{digest}  {path}\n" for path, digest in listed))
    elif not errors:
        errors = [f"{path} is not in the list of landed migrations. {LISTING}" for path in new]
    for error in errors:
        sys.stdout.write(f"{error}\n")
    return 1 if errors else 0


def _landed() -> dict[str, str]:
    """The hash of each migration that has landed, by its path."""
    lines = LANDED.read_text().splitlines() if LANDED.exists() else []
    return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}


def _present() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in ROOT.glob("*/migrations/[0-9]*.py")
    }


def _edited(landed: dict[str, str], present: dict[str, str]) -> Iterator[str]:
    for path, digest in landed.items():
        if path not in present:
            yield f"{path} has landed, and is gone: databases know it by this name. Bring it back."
        elif present[path] != digest:
            yield f"{path} has landed, and was edited: it has run somewhere. Write a new migration."


# --- What a new migration may do ---


def _lint(path: str) -> Iterator[str]:
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(None)
    key = (Path(path).parts[0], Path(path).stem)
    migration = loader.graph.nodes[key]
    state: Any = loader.project_state(key, at_end=False)
    is_contraction = _contracts(migration)
    if is_contraction is None:
        yield (
            "`contracts` must name the release since which nothing uses what goes, and it must "
            f"be one that the CHANGELOG has. {RULES}"
        )
    created: set[str] = set()
    yield from _mixture(
        migration, [each for each, touches in _flat(migration.operations) if touches]
    )
    for operation, touches_database in _flat(migration.operations):
        name = type(operation).__name__
        if name == "CreateModel":
            created.add(operation.name_lower)
        before = state.clone()
        operation.state_forwards(key[0], state)
        table = getattr(operation, "model_name_lower", getattr(operation, "name_lower", None))
        if touches_database and table not in created:
            yield from _operation(key[0], operation, before, state, bool(is_contraction))


def _contracts(migration: Any) -> bool | None:
    """Whether the migration says that an expansion was released before it; None if it was not."""
    release = getattr(migration, "contracts", None)
    if release is None:
        return False
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    return True if release in released else None


def _flat(operations: Sequence[Any], *, on_database: bool = True) -> Iterator[tuple[Any, bool]]:
    """Each operation, and whether it does something to the database."""
    for operation in operations:
        if type(operation).__name__ == "SeparateDatabaseAndState":
            for each, _touches in _flat(operation.database_operations):
                yield each, True
            for each, _touches in _flat(operation.state_operations):
                yield each, False
        else:
            yield operation, on_database


def _mixture(migration: Any, operations: Sequence[Any]) -> Iterator[str]:
    """Operations that run outside of a transaction stand apart: what else is there would not be
    undone with them, and could not be run again."""
    from django.db import migrations

    apart = [each for each in operations if type(each).__module__ == "upgrades.operations"]
    if apart and migration.atomic:
        yield f"{type(apart[0]).__name__} needs `atomic = False` in the migration. {RULES}"
    if (apart or not migration.atomic) and len(apart) < len(operations):
        yield (
            "a migration with `atomic = False` holds operations of upgrades.operations alone, "
            f"which can be run again: give the others one of their own. {RULES}"
        )
    writers = [each for each in operations if _writes_rows(each)]
    if writers and len(writers) < len(operations):
        yield (
            "changes rows and the schema in one transaction, which holds the tables for as long: "
            f"make two migrations of it. {RULES}"
        )
    for writer in writers:
        if isinstance(writer, migrations.RunPython | migrations.RunSQL):
            yield (
                f"{type(writer).__name__} changes rows in one go: use ChangeRowsInBatches of "
                f"upgrades.operations. {RULES}"
            )


def _writes_rows(operation: Any) -> bool:
    from django.db import migrations

    from upgrades.operations import ChangeRowsInBatches

    if isinstance(operation, migrations.RunSQL):
        statements = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
        texts = [each if isinstance(each, str) else each[0] for each in statements]
        return any(WRITES_ROWS.search(text) for text in texts)
    return isinstance(operation, migrations.RunPython | ChangeRowsInBatches)


def _operation(
    app: str, operation: Any, before: Any, after: Any, is_contraction: bool
) -> Iterator[str]:
    name = type(operation).__name__
    if name == "AddField":
        yield from _add_field(operation)
    elif name == "AlterField":
        model, field = (app, operation.model_name_lower), operation.name
        old = before.models[model].fields[field]
        yield from _alter_field(operation, old, after.models[model].fields[field], is_contraction)
    elif name == "AddIndex":
        yield f"builds an index while nobody can write: use AddIndexConcurrently. {RULES}"
    elif name == "AddConstraint":
        yield (
            "adds a constraint while nobody can use the table: use AddCheckConcurrently of "
            f"upgrades.operations. {RULES}"
        )
    elif name in OF_WHOLE_TABLES:
        yield f"{name} makes an index or a column while nobody can use the table. {RULES}"
    elif name in RENAMES:
        yield (
            f"{name} breaks processes that still run the older code: add the new one, fill it in "
            f"batches, and let the old one go a release later. {RULES}"
        )
    elif name in REMOVES and not is_contraction:
        yield (
            f"{name} breaks processes that still run the older code, which reads every column: "
            f"take it out of the models first, and say `contracts` a release later. {RULES}"
        )


def _add_field(operation: Any) -> Iterator[str]:
    from django.db import models

    field, name = operation.field, f"{operation.model_name}.{operation.name}"
    if isinstance(field, models.ManyToManyField):
        return
    if isinstance(field, models.GeneratedField):
        yield f"{name} is computed for every row while nobody can use the table. {RULES}"
    elif not field.null and not field.has_db_default():
        yield (
            f"{name} is NOT NULL without a default in the database, so that older code cannot "
            f"insert rows: give it `db_default`. {RULES}"
        )
    if field.db_index or field.unique:
        yield (
            f"{name} comes with an index, which is built while nobody can use the table: say "
            f"db_index=False, and add it by AddIndexConcurrently. {RULES}"
        )


def _alter_field(operation: Any, old: Any, new: Any, is_contraction: bool) -> Iterator[str]:
    name = f"{operation.model_name}.{operation.name}"
    facts, changed = _facts(old), _facts(new)
    differing = {
        key for key in facts.keys() | changed.keys() if facts.get(key) != changed.get(key)
    } - set(new.non_db_attrs)
    longest = (old.max_length, new.max_length)
    is_shorter = None not in longest and longest[1] < longest[0]
    if old.db_column != new.db_column:
        yield f"{name} gets another column: that is a renaming. {RULES}"
    if (
        old.get_internal_type() != new.get_internal_type()
        or is_shorter
        or differing - HARMLESS_CHANGES - {"db_index", "unique"}
    ):
        yield (
            f"{name} changes its kind, so that every row is read or written while nobody can use "
            f"the table: add a new column. {RULES}"
        )
    if (new.db_index or new.unique) and not (old.db_index or old.unique):
        yield f"{name} gets an index: add it by AddIndexConcurrently. {RULES}"
    loses = (old.null and not new.null) or (old.has_db_default() and not new.has_db_default())
    if loses and not is_contraction:
        yield (
            f"{name} takes no NULL or has no default any more, so that older code cannot insert "
            f"rows: say `contracts` a release later. {RULES}"
        )


def _facts(field: Any) -> dict[str, Any]:
    facts: dict[str, Any] = field.deconstruct()[3]
    return facts


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(ROOT))
    django.setup()
    sys.exit(main(sys.argv[1:]))
