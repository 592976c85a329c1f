"""Checks migrations: none that has landed is edited, and a new one lets the portal go on meanwhile.

`migrations.py` checks, as a step of `make check`; `migrations.py --land` (`make land-migrations`)
adds new ones that pass to the list of those that have landed. docs/upgrades.md has the rules.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import django

ROOT = Path(__file__).resolve().parent.parent
LANDED = ROOT / "scripts" / "landed-migrations.sha256"
"""As `sha256sum` writes it."""
LINE_OF_HISTORY = re.compile(r"^\+([0-9a-f]{64})  (\S+)$", re.MULTILINE)
NEVER_RAN_FOR_USERS = {
    "12694422266a99e62437b8b7e8680aa3a979ba1eb233cffaffa4ddc377ca2072",
    "6f53a122da29c7855ba0df459b34abca167d16f6f5ec0c16bfe09dc73d98b5c9",
    "8ac9c2ce939a812f98899490f9ff0d98f810020e306fa726c15196e0d34276dd",
    "957c35f97396f2c7ae5a515e3b774153e354977ae4a0f946e8291fda3f967402",
    "b0341907f1c6f2912745117220f72778fcd8e2cc7d9e3c8a334c4a9ed62ad1c8",
    "d76da0b6d3ca4c796cf77b8a77b2db394ffb8bb824f30b2ac6d1f4e79ebe0bee",
    "dad45fc12db15cdf4d2f184c0793f1b497eced20b68f5189e2b6e760d73e22e5",
    "f160a9eccc951bfb677234bdf819e00c9c44eb2641292636bc1d8e51264b774d",
}
"""Hashes that were listed and changed before the first release: of numbers that two branches had
taken at once, and of a format."""
RULES = "See docs/upgrades.md."
LISTING = "If it is final, list it: make land-migrations"

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
CONTRACTIONS = {
    "DropColumn": "breaks processes that still run the older code",
    "DropTable": "breaks processes that still run the older code",
    "RemoveIndexConcurrently": "takes the index by which older code finds rows",
    "RemoveForeignKeyIndexConcurrently": "takes the index by which older code finds rows",
    "AddCheckConcurrently": "refuses rows that older code may write",
    "AddUniqueConcurrently": "refuses rows that older code may write",
}
"""Operations that older code may not bear, and why."""
HARMLESS_CHANGES = {"default", "db_default", "null", "max_length", "db_index", "unique"}
"""Facts of a field that `_alter_field` looks at one by one."""
FACTS_OF_MIGRATIONS = {
    *("dependencies", "operations", "atomic", "initial", "run_before", "contracts"),
    *("__module__", "__doc__", "__qualname__", "__firstlineno__", "__static_attributes__"),
}
"""What the class of a migration may say; all else may do what no operation says."""


def main(arguments: Sequence[str]) -> int:
    if list(arguments) not in ([], ["--land"]):
        sys.stderr.write("Usage: migrations.py [--land]\n")
        return 2
    landed, present = _landed(), _present()
    new = sorted(present.keys() - landed.keys())
    errors = [*_edited(landed, present), *_unlisted(landed)] or [
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
    return _listed(LANDED.read_text() if LANDED.exists() else "")


def _listed(text: str) -> dict[str, str]:
    lines = (line.partition("  ") for line in text.splitlines())
    return {path: digest for digest, _, path in lines}


def _landed_by(release: str) -> dict[str, str] | None:
    """The list as a release had it, at the commit that the CHANGELOG names: `## [0.1.0] -
    2027-01-01 (1155e6af)`. None if it cannot be read."""
    line = rf"^## \[{re.escape(release)}\].*\(([0-9a-f]{{7,40}})\)$"
    commit = re.search(line, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    told = _git("show", f"{commit[1]}:{LANDED.relative_to(ROOT)}") if commit else ""
    return _listed(told) if told else None


def _git(*words: str) -> str:
    """What Git says; nothing without a history."""
    command = ["git", *words]
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return told.stdout


def _present() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in ROOT.glob("*/migrations/[!_~]*.py")
    }


def _edited(landed: dict[str, str], present: dict[str, str]) -> Iterator[str]:
    for path, digest in landed.items():
        if path not in present:
            yield f"{path} has landed, and is gone: databases know it by this name. Bring it back."
        elif present[path] != digest:
            yield f"{path} has landed, and was edited: it has run somewhere. Write a new migration."


def _unlisted(landed: dict[str, str]) -> Iterator[str]:
    """What the list once had, as Git tells, and has no more, or with another hash: an edit of a
    migration and of its line, together. Without a history there is nothing to compare."""
    told = _git("log", "-p", "--format=", "--", str(LANDED.relative_to(ROOT)))
    listed = dict.fromkeys(LINE_OF_HISTORY.findall(told))
    for digest, path in listed:
        if landed.get(path) != digest and digest not in NEVER_RAN_FOR_USERS:
            yield (
                f"{path} was listed as landed with the hash {digest[:12]}…, and its line has "
                f"changed since: it has run somewhere. Bring it back, and write a new migration."
            )


# --- What a new migration may do ---


class Step(NamedTuple):
    """An operation, the models before and after it, and whether it changes the database."""

    operation: Any
    before: Any
    after: Any
    touches_database: bool

    @property
    def name(self) -> str:
        return type(self.operation).__name__


class Past(NamedTuple):
    """What is before a migration of an app: the models, and the migrations in order. And the
    release since which, as it says, nothing uses what goes."""

    app: str
    models: Any
    migrations: Sequence[Any]
    release: str | None
    is_contraction: bool

    def search_indices(self) -> Iterator[Any]:
        """The operations that made them: models say nothing of them."""
        from upgrades.operations import AddSearchIndexConcurrently

        for migration in self.migrations:
            for operation in migration.operations if migration.app_label == self.app else ():
                if isinstance(operation, AddSearchIndexConcurrently):
                    yield operation

    def removal(self, has: Callable[[Any], bool]) -> str | None:
        """The path of the last migration that took something out of the models."""
        from django.db.migrations.state import ProjectState

        state, had, path = ProjectState(), False, None
        for migration in self.migrations:
            state = migration.mutate_state(state, preserve=False)
            if had and not has(state):
                path = f"{migration.app_label}/migrations/{migration.name}.py"
            had = has(state)
        return path


def _lint(path: str) -> Iterator[str]:
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(None, replace_migrations=False)
    key = (Path(path).parts[0], Path(path).stem)
    migration = loader.graph.nodes[key]
    start: Any = loader.project_state(key, at_end=False)
    is_contraction = _contracts(migration)
    before = [loader.graph.nodes[each] for each in loader.graph.forwards_plan(key) if each != key]
    release = getattr(migration, "contracts", None)
    past = Past(key[0], start, before, release, bool(is_contraction))
    if is_contraction is None:
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
    steps = list(_steps(key[0], migration.operations, start.clone()))
    yield from _mixture(migration, [each.operation for each in steps if each.touches_database])
    created: set[str] = set()
    for step in steps:
        if step.name == "CreateModel" and step.touches_database:
            created.add(step.operation.name_lower)
        table = getattr(
            step.operation, "model_name_lower", getattr(step.operation, "name_lower", None)
        )
        if not _is_known(step.operation):
            yield (
                f"{step.name} is a kind of operation that this check does not know: use those of "
                f"Django and of upgrades.operations. {RULES}"
            )
        elif not step.touches_database:
            yield from _forget(key[0], step)
        elif table not in created:
            yield from _operation(step, past)


def _class(kind: type) -> Iterator[str]:
    from django.db.migrations import Migration

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


def _steps(
    app: str, operations: Sequence[Any], state: Any, *, on_database: bool = True
) -> Iterator[Step]:
    """Each operation, those of SeparateDatabaseAndState apart, and what RunSQL says of the models.
    Changes the state."""
    from django.db.migrations import RunSQL, SeparateDatabaseAndState

    for operation in operations:
        if type(operation) is SeparateDatabaseAndState:
            yield from _steps(
                app, operation.database_operations, state.clone(), on_database=on_database
            )
            yield from _steps(app, operation.state_operations, state, on_database=False)
        elif type(operation) is RunSQL and operation.state_operations:
            yield Step(operation, state.clone(), state.clone(), on_database)
            yield from _steps(app, operation.state_operations, state, on_database=False)
        else:
            before = state.clone()
            if type(operation).__name__ != "RemoveField" or _has_field(app, operation, state):
                operation.state_forwards(app, state)
            yield Step(operation, before, state.clone(), on_database)


def _has_field(app: str, operation: Any, state: Any) -> bool:
    model = state.models.get((app, operation.model_name_lower))
    return model is not None and operation.name in model.fields


def _is_known(operation: Any) -> bool:
    """Whether it is what its name says: a kind that is derived may do anything else beside."""
    from django.db import migrations

    from upgrades import operations

    name = type(operation).__name__
    return type(operation) in (getattr(migrations, name, None), getattr(operations, name, None))


def _contracts(migration: Any) -> bool | None:
    """Whether the migration says that an expansion was released before it; None if it was not."""
    release = getattr(migration, "contracts", None)
    if release is None:
        return False
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    return True if release in released else None


def _mixture(migration: Any, operations: Sequence[Any]) -> Iterator[str]:
    """Operations that run outside of a transaction stand apart: what else is there would not be
    undone with them, and could not be run again."""
    from upgrades.operations import OUTSIDE_TRANSACTIONS, ChangeRowsInBatches

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


def _operation(step: Step, past: Past) -> Iterator[str]:
    name = step.name
    if name in ONE_BY_ONE:
        yield f"{name} {ONE_BY_ONE[name]}. {RULES}"
    elif name in CONTRACTIONS:
        yield from _contraction(step, past)
    elif name in JUDGES:
        yield from JUDGES[name](step, past)
    elif name not in HARMLESS:
        yield f"{name} is not known to let others go on meanwhile. {RULES}"


def _field(step: Step, app: str, state: Any) -> Any:
    return state.models[app, step.operation.model_name_lower].fields[step.operation.name]


def _forget(app: str, step: Step) -> Iterator[str]:
    """Of what goes from the models and stays in the database: new code cannot fill it."""
    name, operation = step.name, step.operation
    if name == "RemoveField":
        model = step.before.models.get((app, operation.model_name_lower))
        fields = [model.fields[operation.name]] if model else []
        if any(not _is_optional(field) for field in fields):
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


def _is_optional(field: Any) -> bool:
    return bool(field.null or field.many_to_many or field.has_db_default())


def _add_constraint(step: Step, _past: Past) -> Iterator[str]:
    from django.db.models import CheckConstraint, UniqueConstraint

    constraint = step.operation.constraint
    instead = {CheckConstraint: "AddCheckConcurrently", UniqueConstraint: "AddUniqueConcurrently"}
    name = instead.get(type(constraint))
    advice = f"use {name} of upgrades.operations" if name else "there is no way to do it meanwhile"
    yield f"adds a constraint while nobody can use the table: {advice}. {RULES}"


def _remove_constraint(step: Step, past: Past) -> Iterator[str]:
    from django.db.models import CheckConstraint

    model = step.before.models[past.app, step.operation.model_name_lower]
    constraint = model.get_constraint_by_name(step.operation.name)
    if not isinstance(constraint, CheckConstraint) and not past.is_contraction:
        yield (
            f"{constraint.name} goes, on which older code may rely where it inserts or updates: "
            f"say `contracts` a release later. {RULES}"
        )


def _alter_constraint(step: Step, past: Past) -> Iterator[str]:
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


def _contraction(step: Step, past: Past) -> Iterator[str]:
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
        landed, removal = _landed_by(past.release), past.removal(has)
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
    return {_column(*each) for each in fields.items() if not each[1].many_to_many}


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
    from django.db.models import Index, UniqueConstraint

    return any(
        [*each.fields][:1] == [step.operation.name] and each.condition is None
        for each in (*model.options["indexes"], *model.options["constraints"])
        if type(each) in (Index, UniqueConstraint)
    )


def _column(name: str, field: Any) -> str:
    named = field.clone()
    named.set_attributes_from_name(name)
    return str(named.column)


def _tables(state: Any) -> Iterator[str]:
    for (app, name), model in state.models.items():
        table = model.options.get("db_table") or f"{app}_{name}"
        yield table
        for field_name, field in model.fields.items():
            if field.many_to_many:
                yield field.db_table or f"{table}_{field_name}"


def _tables_of_others(app: str) -> Iterator[str]:
    """Of apps that the migration may know nothing of."""
    from django.apps import apps

    for model in apps.get_models(include_auto_created=True):
        if model._meta.app_label != app:
            yield model._meta.db_table


def _add_field(step: Step, _past: Past) -> Iterator[str]:
    from django.db import models

    operation = step.operation
    field, name = operation.field, f"{operation.model_name}.{operation.name}"
    if isinstance(field, models.ManyToManyField):
        return
    if isinstance(field, models.GeneratedField):
        yield f"{name} is computed for every row while nobody can use the table. {RULES}"
    elif not _is_optional(field):
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
    from django.db.models import Value
    from django.db.models.functions import Now

    default = field.db_default if field.has_db_default() else None
    if field.is_relation and default is not None:
        return False  # each row would be looked up
    return not hasattr(default, "resolve_expression") or type(default) in (Value, Now)


def _check(field: Any) -> str | None:
    """The check that comes with the column on PostgreSQL."""
    from django.db.utils import ConnectionHandler

    if field.is_relation:
        return None
    postgresql = ConnectionHandler({"default": {"ENGINE": "django.db.backends.postgresql"}})
    named = field.clone()
    named.set_attributes_from_name("name")
    check: str | None = named.db_check(postgresql["default"])
    return check


def _alter_field(step: Step, past: Past) -> Iterator[str]:
    operation = step.operation
    old, new = (_field(step, past.app, state) for state in (step.before, step.after))
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
    column = _column(name, _field(step, past.app, step.before))
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
    from django.db.models.expressions import ExpressionList, F

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


JUDGES: dict[str, Callable[[Step, Past], Iterator[str]]] = {
    "AddField": _add_field,
    "AlterField": _alter_field,
    "AddConstraint": _add_constraint,
    "AlterConstraint": _alter_constraint,
    "AlterModelOptions": _alter_options,
    "RemoveConstraint": _remove_constraint,
    "ChangeRowsInBatches": _change_rows,
    "RunSQL": _run_sql,
}
"""Operations that let others go on, or not, by what they say."""


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(ROOT))
    django.setup()
    sys.exit(main(sys.argv[1:]))
