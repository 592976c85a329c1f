"""Operations that change a large table while it is in use."""

import re
from typing import Any

import pytest
from django.db import IntegrityError, NotSupportedError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import (
    CheckConstraint,
    Index,
    IntegerField,
    Model,
    Q,
    QuerySet,
    UniqueConstraint,
)
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from tests.conftest import is_on_postgresql
from tests.factories import AccountFactory
from upgrades.operations import (
    AddCheckConcurrently,
    AddIndexConcurrently,
    AddSearchIndexConcurrently,
    AddUniqueConcurrently,
    ChangeRowsInBatches,
    DropColumn,
    DropTable,
    RebuildSearchIndexConcurrently,
    RemoveForeignKeyIndexConcurrently,
    RemoveIndexConcurrently,
)

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = Index(fields=["name"], name="planted_index")
CHECK = CheckConstraint(condition=~Q(name="planted"), name="planted_check")


def run(operation: Operation, *, atomic: bool = False, back: bool = False) -> str:
    """Run it on the accounts; returns the statements."""
    before = MigrationLoader(None).project_state()
    after = before.clone()
    operation.state_forwards("accounts", after)
    with (
        CaptureQueriesContext(connection) as queries,
        connection.schema_editor(atomic=atomic) as editor,
    ):
        if back:
            operation.database_backwards("accounts", editor, after, before)
        else:
            operation.database_forwards("accounts", editor, before, after)
    return "\n".join(query["sql"] for query in queries)


def constraints() -> dict[str, Any]:
    with connection.cursor() as cursor:
        found: dict[str, Any] = connection.introspection.get_constraints(cursor, "accounts_account")
    return found


def test_index_is_added_and_removed_without_stopping_writers() -> None:
    operation = AddIndexConcurrently("account", INDEX)

    added = run(operation)
    was_there = INDEX.name in constraints()
    removed = run(operation, back=True)

    assert was_there
    assert INDEX.name not in constraints()
    assert ("CREATE INDEX CONCURRENTLY" in added) is is_on_postgresql()
    assert ("SET lock_timeout = 0" in added) is is_on_postgresql()  # it may wait: nobody queues
    assert ("DROP INDEX CONCURRENTLY" in removed) is is_on_postgresql()


def test_index_is_removed_and_added_again_without_stopping_writers() -> None:
    name = "account_planted"
    run(AddIndexConcurrently("account", Index(fields=["name"], name=name)))
    before = MigrationLoader(None).project_state()
    AddIndexConcurrently("account", Index(fields=["name"], name=name)).state_forwards(
        "accounts", before
    )
    after = before.clone()
    operation = RemoveIndexConcurrently("account", name)
    operation.state_forwards("accounts", after)

    with (
        CaptureQueriesContext(connection) as queries,
        connection.schema_editor(atomic=False) as editor,
    ):
        operation.database_forwards("accounts", editor, before, after)
        is_gone = name not in constraints()
        operation.database_backwards("accounts", editor, after, before)
        is_back = name in constraints()
        operation.database_forwards("accounts", editor, before, after)

    assert (is_gone, is_back, name in constraints()) == (True, True, False)
    said = "\n".join(query["sql"] for query in queries)
    assert ("CREATE INDEX CONCURRENTLY" in said) is is_on_postgresql()


def test_index_of_a_foreign_key_is_removed_without_stopping_writers() -> None:
    operation = RemoveForeignKeyIndexConcurrently("invitation", "invited_by")

    removed = run(operation)
    is_back = run(operation, back=True)

    (dropped,) = re.findall(r'DROP INDEX (?:CONCURRENTLY )?IF EXISTS "(\w+)"', removed)
    assert dropped.startswith("accounts_invitation_invited_by_id_")
    assert f'"{dropped}" ON "accounts_invitation" ("invited_by_id")' in is_back
    assert ("DROP INDEX CONCURRENTLY" in removed) is is_on_postgresql()
    assert ("CREATE INDEX CONCURRENTLY" in is_back) is is_on_postgresql()


def test_search_index_is_built_anew_and_the_former_one_serves_until_then() -> None:
    if not is_on_postgresql():
        pytest.skip("SQLite reads the rows")
    run(AddSearchIndexConcurrently("account", "name", "planted_search", lambda name, _: name))
    if "planted_search" not in constraints():
        pytest.skip("This PostgreSQL has no pg_trgm")
    anew = RebuildSearchIndexConcurrently(
        "account", "name", "planted_search", lambda name, _: f"lower({name})"
    )

    for _time in range(2):  # it may have been broken off before it was recorded
        said = run(anew)
        assert said.index("CREATE INDEX CONCURRENTLY") < said.index("DROP INDEX CONCURRENTLY")
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'planted_search%'")
        ((definition,),) = cursor.fetchall()
    assert "lower" in definition


def test_index_is_not_built_inside_a_transaction() -> None:
    if not is_on_postgresql():
        pytest.skip("SQLite builds it in any")
    with pytest.raises(NotSupportedError, match="atomic = False"):
        run(AddIndexConcurrently("account", INDEX), atomic=True)


@pytest.mark.parametrize("done", range(4))
def test_migration_that_was_broken_off_is_run_again(done: int) -> None:
    """Whichever operation was the last to be done, forwards and back."""
    operations = [
        AddIndexConcurrently("account", Index(fields=["name"], name="planted_first")),
        AddIndexConcurrently("account", INDEX),
        RemoveIndexConcurrently("account", "planted_first"),
    ]
    states = [MigrationLoader(None).project_state()]
    for operation in operations:
        states.append(states[-1].clone())
        operation.state_forwards("accounts", states[-1])
    steps = list(zip(operations, states, states[1:], strict=False))

    with connection.schema_editor(atomic=False) as editor:
        for operation, before, after in [*steps[:done], *steps]:
            operation.database_forwards("accounts", editor, before, after)
        migrated = constraints()
        for operation, before, after in [*steps[::-1][:done], *steps[::-1]]:
            operation.database_backwards("accounts", editor, after, before)

    assert [name for name in migrated if name.startswith("planted_")] == [INDEX.name]
    assert not [name for name in constraints() if name.startswith("planted_")]


@pytest.mark.parametrize("is_valid", [True, False])
def test_index_whose_build_was_broken_off_is_completed(is_valid: bool) -> None:
    if not is_on_postgresql():
        pytest.skip("SQLite builds all of it or nothing")
    operation = AddIndexConcurrently("account", INDEX)
    run(operation)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = %s WHERE indexrelid = 'planted_index'::regclass",
            [is_valid],
        )

    said = run(operation)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'planted_index'::regclass"
        )
        assert cursor.fetchone() == (True,)
    assert ("CREATE INDEX" in said) is not is_valid
    run(operation, back=True)


def test_check_holds_for_new_rows_and_present_ones() -> None:
    AccountFactory.create(name="fine")
    operation = AddCheckConcurrently("account", CHECK)

    said = run(operation)

    with pytest.raises(IntegrityError):
        AccountFactory.create(name="planted")
    if is_on_postgresql():
        assert "NOT VALID" in said
        assert "NOT VALID" not in run(operation)  # goes on where it was broken off
    run(operation, back=True)
    AccountFactory.create(name="planted")
    with pytest.raises(IntegrityError):
        run(operation)
    Account.objects.filter(name="planted").delete()
    run(operation)  # as after any migration that failed
    run(operation, back=True)


@pytest.mark.parametrize(
    "unique",
    [
        UniqueConstraint(fields=["name"], name="planted_unique"),
        UniqueConstraint(fields=["name"], name="planted_unique", condition=Q(name__gt="")),
    ],
    ids=["plain", "with a condition"],
)
def test_unique_constraint_is_added_and_removed_without_stopping_writers(
    unique: UniqueConstraint,
) -> None:
    AccountFactory.create(name="planted")
    operation = AddUniqueConcurrently("account", unique)

    said = run(operation)

    with pytest.raises(IntegrityError):
        AccountFactory.create(name="planted")
    assert ("CREATE UNIQUE INDEX CONCURRENTLY" in said) is is_on_postgresql()
    assert "CREATE UNIQUE INDEX" not in run(operation)  # goes on where it was broken off
    run(operation, back=True)
    AccountFactory.create(name="planted")


def test_column_and_table_of_no_model_are_dropped() -> None:
    """The second half of a removal: the models are without them since a release."""
    AccountFactory.create(name="kept")
    before = MigrationLoader(None).project_state()
    account = before.apps.get_model("accounts", "Account")
    planted: IntegerField[int | None, int | None] = IntegerField(null=True, db_index=True)
    planted.set_attributes_from_name("planted")
    with connection.schema_editor() as editor:
        editor.add_field(account, planted)
        editor.execute("CREATE TABLE planted_table (id integer)")

    for operation in (DropColumn("account", "planted"), DropTable("planted_table")):
        run(operation, atomic=True)
        run(operation, atomic=True)  # what is gone is no fault

    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, "accounts_account")
        tables = connection.introspection.table_names(cursor)
    assert "planted" not in {column.name for column in columns}
    assert "planted_table" not in tables
    assert Account.objects.get().name == "kept"


def test_rows_are_changed_in_batches_each_committed() -> None:
    for number in range(5):
        AccountFactory.create(name=f"Account {number}")
    changed = list[int]()

    def change(rows: QuerySet[Model]) -> None:
        if len(changed) == 1:
            changed.append(0)
            raise RuntimeError("broken off")
        changed.append(rows.exclude(name="new").update(name="new"))

    operation = ChangeRowsInBatches("account", change, batch=2)
    with pytest.raises(RuntimeError):
        run(operation)
    kept = Account.objects.filter(name="new").count()
    run(operation)

    assert kept == 2
    assert changed == [2, 0, 0, 2, 1]
    assert set(Account.objects.values_list("name", flat=True)) == {"new"}


def test_rows_are_not_changed_inside_one_transaction() -> None:
    with pytest.raises(NotSupportedError, match="atomic = False"):
        run(ChangeRowsInBatches("account", lambda rows: rows.update(name="new")), atomic=True)
