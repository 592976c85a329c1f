"""Operations of migrations that change a large table while it is in use (docs/upgrades.md).

A migration with those that work outside of a transaction says `atomic = False` and holds nothing
else. Each can be run again after it
was broken off. On SQLite, where one process migrates before it serves, they do the same plainly.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres import operations as postgresql
from django.db import NotSupportedError, ProgrammingError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddConstraint, AddIndex, RemoveIndex
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint, Index, Model, QuerySet, UniqueConstraint

BATCH = 1_000
"""Rows of one transaction: written in some ten milliseconds, for which others may wait."""

Change = Callable[[QuerySet[Model]], object]
Expression = Callable[[str, BaseDatabaseWrapper], str]


class AddIndexConcurrently(postgresql.AddIndexConcurrently):
    """Adds an index, while others read and write the table."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if not _is_postgresql(schema_editor):
            if not _has_sqlite_index(schema_editor, self.index.name):
                AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)
            return
        self._ensure_not_in_transaction(schema_editor)
        with _without_lock_timeout(schema_editor):
            if _is_valid_index(schema_editor, self.index) is False:
                # Left behind by a build that was broken off: it is kept up to date, and never read.
                name = schema_editor.quote_name(self.index.name)
                schema_editor.execute(f"DROP INDEX CONCURRENTLY {name}")
            if _is_valid_index(schema_editor, self.index) is None:
                super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _is_postgresql(schema_editor):
            with _without_lock_timeout(schema_editor):
                super().database_backwards(app_label, schema_editor, from_state, to_state)
        elif _has_sqlite_index(schema_editor, self.index.name):
            AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)


class RemoveIndexConcurrently(postgresql.RemoveIndexConcurrently):
    """Removes an index, while others read and write the table."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _is_postgresql(schema_editor):
            with _without_lock_timeout(schema_editor):
                super().database_forwards(app_label, schema_editor, from_state, to_state)
        elif _has_sqlite_index(schema_editor, self.name):
            RemoveIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        index = to_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
        add = AddIndexConcurrently(self.model_name, index)
        add.database_forwards(app_label, schema_editor, from_state, to_state)


class RemoveForeignKeyIndexConcurrently(Operation):
    """Removes the index that Django makes for a foreign key, while others read and write the table.
    It is for one whose column begins another index."""

    atomic = False

    def __init__(self, model_name: str, name: str) -> None:
        self.model_name = model_name
        self.name = name

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        model_key = app_label, self.model_name.lower()
        field: Any = state.models[model_key].fields[self.name].clone()
        field.db_index = False
        state.alter_field(*model_key, self.name, field, preserve_default=True)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._execute("DROP INDEX {when}IF EXISTS {name}", app_label, schema_editor, from_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._execute("DROP INDEX {when}IF EXISTS {name}", app_label, schema_editor, to_state)
        self._execute(
            "CREATE INDEX {when}{name} ON {table} ({column})", app_label, schema_editor, to_state
        )

    def describe(self) -> str:
        return f"Remove the index of {self.model_name}.{self.name}"

    def _execute(
        self, statement: str, app_label: str, editor: BaseDatabaseSchemaEditor, state: ProjectState
    ) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(editor.connection.alias, model):
            return
        table, column = model._meta.db_table, model._meta.get_field(self.name).column
        name = editor._create_index_name(table, [column])  # type: ignore[attr-defined]  # Django names it so
        table, column, name = map(editor.quote_name, (table, column, name))
        if not _is_postgresql(editor):
            editor.execute(statement.format(when="", name=name, table=table, column=column))
            return
        _refuse_transaction(self, editor)
        with _without_lock_timeout(editor):
            editor.execute(
                statement.format(when="CONCURRENTLY ", name=name, table=table, column=column)
            )


class AddCheckConcurrently(AddConstraint):
    """Adds a check constraint: new rows keep to it at once, and then the present ones are looked at
    while others read and write the table."""

    atomic = False
    model_name: str
    constraint: CheckConstraint

    def __init__(self, model_name: str, constraint: CheckConstraint) -> None:
        super().__init__(model_name, constraint)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if not _is_postgresql(schema_editor):
            with transaction.atomic(using=schema_editor.connection.alias):  # can be run again
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        _refuse_transaction(self, schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table = schema_editor.quote_name(model._meta.db_table)
        name = schema_editor.quote_name(self.constraint.name)
        if not _has_constraint(schema_editor, model, self.constraint.name):
            added = self.constraint.create_sql(model, schema_editor)
            schema_editor.execute(f"{added} NOT VALID", params=None)
        schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


class AddUniqueConcurrently(AddConstraint):
    """Adds a unique constraint: its index is built while others read and write the table."""

    atomic = False
    model_name: str
    constraint: UniqueConstraint

    def __init__(self, model_name: str, constraint: UniqueConstraint) -> None:
        super().__init__(model_name, constraint)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if not _is_postgresql(schema_editor):
            if not _has_sqlite_index(schema_editor, self.constraint.name):
                with transaction.atomic(using=schema_editor.connection.alias):  # can be run again
                    super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        _refuse_transaction(self, schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if self.constraint.deferrable:
            raise NotSupportedError("A constraint that is deferred cannot be added concurrently.")
        statement: Any = self.constraint.create_sql(model, schema_editor)
        # With a condition and the like it is an index alone, as in Django.
        is_index_alone = statement.template == schema_editor.sql_create_unique_index
        with _without_lock_timeout(schema_editor):
            if _is_valid_index(schema_editor, self.constraint) is False:
                index = schema_editor.quote_name(self.constraint.name)
                schema_editor.execute(f"DROP INDEX CONCURRENTLY {index}")
            if _is_valid_index(schema_editor, self.constraint) is None:
                statement.template = schema_editor.sql_create_unique_index.replace(
                    "UNIQUE INDEX", "UNIQUE INDEX CONCURRENTLY"
                )
                schema_editor.execute(statement, params=None)
        if not is_index_alone and not _has_constraint(schema_editor, model, self.constraint.name):
            table, name = map(
                schema_editor.quote_name, (model._meta.db_table, self.constraint.name)
            )
            schema_editor.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}"
            )


class AddSearchIndexConcurrently(Operation):
    """Adds the index by which PostgreSQL finds a part of a text, where it has the extension pg_trgm
    and lets us use it; everywhere else searches read the rows. `expression` says in SQL what is
    searched: of the column's name and the connection."""

    atomic = False
    reversible = True
    reduces_to_sql = False
    kind = "USING gin (({}) gin_trgm_ops)"

    def __init__(self, model_name: str, column: str, name: str, expression: Expression) -> None:
        self.model_name, self.column, self.name = model_name, column, name
        self.expression = expression

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Models say nothing of it: not every database has it."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        alias = schema_editor.connection.alias
        if not _is_postgresql(schema_editor) or not self.allow_migrate_model(alias, model):
            return
        _refuse_transaction(self, schema_editor)
        if not self._is_possible(schema_editor):
            return
        table, name, column = map(
            schema_editor.quote_name, (model._meta.db_table, self.name, self.column)
        )
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
        with _without_lock_timeout(schema_editor):
            if _ask(schema_editor, valid, self.name) is False:
                schema_editor.execute(f"DROP INDEX CONCURRENTLY {name}")
            searched = self.expression(column, schema_editor.connection)
            schema_editor.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} "
                f"{self.kind.format(searched)}",
                params=None,
            )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _is_postgresql(schema_editor):
            name = schema_editor.quote_name(self.name)
            with _without_lock_timeout(schema_editor):
                schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")

    def describe(self) -> str:
        return f"Add search index {self.name} of {self.model_name}.{self.column}"

    def _is_possible(self, schema_editor: BaseDatabaseSchemaEditor) -> bool:
        return _has_trigrams(schema_editor)


class AddPrefixIndexConcurrently(AddSearchIndexConcurrently):
    """Adds the index by which PostgreSQL finds how a text begins, and has texts in order. It needs
    no extension."""

    kind = "(({}))"

    def _is_possible(self, schema_editor: BaseDatabaseSchemaEditor) -> bool:
        return True


class AddSortIndexConcurrently(AddPrefixIndexConcurrently):
    """Adds the index by which PostgreSQL has the rows of one account in the order of a text."""

    kind = "(account_id, ({}), id)"


class RebuildSearchIndexConcurrently(AddSearchIndexConcurrently):
    """Builds a search index anew, because its expression has changed since. Older code finds the
    former one until the new one is whole, and reads the rows then."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        alias = schema_editor.connection.alias
        model = to_state.apps.get_model(app_label, self.model_name)
        if not _is_postgresql(schema_editor) or not self.allow_migrate_model(alias, model):
            return
        add = AddSearchIndexConcurrently(
            self.model_name, self.column, f"{self.name}_new", self.expression
        )
        add.database_forwards(app_label, schema_editor, from_state, to_state)
        former, new = map(schema_editor.quote_name, (self.name, add.name))
        with _without_lock_timeout(schema_editor):
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {former}")
            schema_editor.execute(f"ALTER INDEX IF EXISTS {new} RENAME TO {former}")

    def database_backwards(self, *_facts: Any) -> None:
        """Which expression older code had, only it knows. It reads the rows."""

    def describe(self) -> str:
        return f"Rebuild search index {self.name} of {self.model_name}.{self.column}"


class DropColumn(Operation):
    """Drops a column that a release before took out of the models."""

    reversible = False
    reduces_to_sql = True

    def __init__(self, model_name: str, column: str) -> None:
        self.model_name = model_name
        self.column = column

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The models are without it already."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if _is_postgresql(schema_editor):
            table, column = map(schema_editor.quote_name, (model._meta.db_table, self.column))
            schema_editor.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column} CASCADE")
        else:
            # SQLite drops none with an index or a reference: make the table anew, as the model is.
            editor: Any = schema_editor
            with transaction.atomic(using=schema_editor.connection.alias):
                editor._remake_table(model)

    def describe(self) -> str:
        return f"Drop column {self.column} of {self.model_name}"


class DropTable(Operation):
    """Drops a table whose model a release before took out of the models."""

    reversible = False
    reduces_to_sql = True

    def __init__(self, table: str) -> None:
        self.table = table

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The models are without it already."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        table = schema_editor.quote_name(self.table)
        cascade = " CASCADE" if _is_postgresql(schema_editor) else ""
        schema_editor.execute(f"DROP TABLE IF EXISTS {table}{cascade}")

    def describe(self) -> str:
        return f"Drop table {self.table}"


class ChangeRowsInBatches(Operation):
    """Changes many rows, some at a time, each time in a transaction of its own.

    `change` is given the next rows as a queryset and updates them. It must leave rows alone that it
    has changed before: after an error, all are gone through once more. Backwards it does nothing.
    """

    atomic = False
    reversible = True
    reduces_to_sql = False

    def __init__(self, model_name: str, change: Change, *, batch: int = BATCH) -> None:
        self.model_name = model_name
        self.change = change
        self.batch = batch

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Rows are no part of the state."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        alias = schema_editor.connection.alias
        model: Any = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(alias, model):
            return
        _refuse_transaction(self, schema_editor)
        rows = model._base_manager.using(alias).order_by("pk")
        following = rows
        while keys := list(following.values_list("pk", flat=True)[: self.batch]):
            with transaction.atomic(using=alias):
                self.change(rows.filter(pk__gte=keys[0], pk__lte=keys[-1]).order_by())
            following = rows.filter(pk__gt=keys[-1])

    def database_backwards(self, *_facts: Any) -> None:
        """Older code does not know what was written, and does not mind it."""

    def describe(self) -> str:
        return f"Change rows of {self.model_name} in batches"


OUTSIDE_TRANSACTIONS = (
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    RemoveForeignKeyIndexConcurrently,
    AddCheckConcurrently,
    AddUniqueConcurrently,
    AddSearchIndexConcurrently,
    ChangeRowsInBatches,
)
"""They commit on their own; DropColumn and DropTable do not."""


def _is_postgresql(editor: BaseDatabaseSchemaEditor) -> bool:
    return editor.connection.vendor == "postgresql"


def _has_trigrams(editor: BaseDatabaseSchemaEditor) -> bool:
    """True if the extension is there, or can be made by us: most databases have it at hand, and it
    is one that the owner of a database may make."""
    there = "SELECT true FROM pg_extension WHERE extname = %s"
    if _ask(editor, there, "pg_trgm"):
        return True
    if not _ask(editor, "SELECT true FROM pg_available_extensions WHERE name = %s", "pg_trgm"):
        return False
    try:
        editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except ProgrammingError:  # it is not ours to make
        return False
    return True


def _refuse_transaction(operation: Operation, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.in_atomic_block:
        raise NotSupportedError(
            f"{type(operation).__name__} cannot run inside a transaction: "
            "set atomic = False on the migration."
        )


@contextmanager
def _without_lock_timeout(editor: BaseDatabaseSchemaEditor) -> Iterator[None]:
    """Wait as long as it takes for transactions that are older: nobody queues behind an index that
    is built concurrently."""
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        before = cursor.fetchone()[0]
        cursor.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        with editor.connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])


def _is_valid_index(
    editor: BaseDatabaseSchemaEditor, index: Index | UniqueConstraint
) -> bool | None:
    """False for an index whose build was broken off, None if there is none."""
    return _ask(
        editor, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", index.name
    )


def _has_sqlite_index(editor: BaseDatabaseSchemaEditor, name: str) -> bool:
    """A migration that was broken off may have made it, or taken it away, already."""
    asked = "SELECT true FROM sqlite_master WHERE type = 'index' AND name = %s"
    return _ask(editor, asked, name) is True


def _has_constraint(editor: BaseDatabaseSchemaEditor, model: type[Model], name: str) -> bool:
    asked = "SELECT true FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"
    return _ask(editor, asked, model._meta.db_table, name) is True


def _ask(editor: BaseDatabaseSchemaEditor, question: str, *facts: str) -> bool | None:
    with connections[editor.connection.alias].cursor() as cursor:
        cursor.execute(question, facts)
        row = cursor.fetchone()
    return None if row is None else bool(row[0])
