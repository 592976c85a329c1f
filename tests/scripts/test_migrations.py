"""What `make check` holds of migrations, shown by planting them in a copy."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.documentation.blocks import block_at
from tests.scripts.test_check import APPS, ROOT

LIST = Path("scripts", "landed-migrations.sha256")
BATCHES = "atomic = False"
ADD_INDEX = "('apitoken', models.Index(fields=['name'], name='planted'))"
ADD_CHECK = (
    "('apitoken', models.CheckConstraint(condition=models.Q(pepper__gte=0), name='planted'))"
)
CHANGE_ROWS = "operations.ChangeRowsInBatches('apitoken', lambda rows: rows.update(name='new'))"
AFTER_RELEASE = "contracts = '0.0.9'"
REMOVE_INDEX = (
    "migrations.SeparateDatabaseAndState(state_operations="
    f"[migrations.AddIndex{ADD_INDEX}]), operations.RemoveIndexConcurrently('apitoken', 'planted')"
)
REMOVE_COVERED_INDEX = (
    "operations.AddIndexConcurrently('apitoken', models.Index(fields={longer}, name='longer')), "
    f"{REMOVE_INDEX}"
)
ADD_UNIQUE = "('apitoken', models.UniqueConstraint(fields=['name', 'role'], name='planted'))"


class Planted(NamedTuple):
    """The operations of a migration, what else its class says, and words of the refusal; none if
    it is fine."""

    operations: str
    refusal: str = ""
    also: str = "pass"


def add(field: str) -> str:
    return f"migrations.AddField('apitoken', 'planted', models.{field})"


def alter(name: str, field: str) -> str:
    return f"migrations.AlterField('apitoken', {name!r}, models.{field})"


def forget(name: str) -> str:
    return (
        "migrations.SeparateDatabaseAndState("
        f"state_operations=[migrations.RemoveField('apitoken', {name!r})])"
    )


def alter_constraint(field: str, also: str = "") -> str:
    return (
        "migrations.AlterConstraint('scope', 'scope_once_in_service', models.UniqueConstraint("
        f"fields=['service', {field!r}], name='scope_once_in_service'{also}))"
    )


def widen(also: str) -> str:
    """A new column, what stands on it in the models, and its change to a longer one."""
    return (
        f"{add('CharField(null=True, max_length=9)')}, migrations.SeparateDatabaseAndState("
        f"state_operations=[{also}]), "
        "migrations.AlterField('apitoken', 'planted', models.CharField(max_length=99, null=True))"
    )


def add_index(facts: str) -> str:
    return f"migrations.AddIndex('apitoken', models.Index({facts}, name='on_it'))"


RELEASED = {
    "9000_both": ", ".join(
        add("IntegerField(null=True)").replace("planted", name) for name in ("gone", "later")
    ),
    "9001_gone": forget("gone"),
}
"""Migrations that 0.0.9 has in its list: two columns come, and one goes from the models."""
LATER = {"9002_later": forget("later")}
"""One that landed after 0.0.9, with which the other goes from the models."""
AFTER_NO_COMMIT = "contracts = '0.0.10'"
OF_THE_PAGE = "of_the_page"
"""The name of the one that docs/upgrades.md prints."""

PLANTED = {
    "not_null": Planted(add("IntegerField(default=1)"), "NOT NULL without a default"),
    "not_null_on_database": Planted(add("IntegerField(default=1, db_default=1)")),
    "nullable": Planted(add("IntegerField(null=True)")),
    "indexed": Planted(add("IntegerField(null=True, db_index=True)"), "comes with an index"),
    "unique": Planted(add("IntegerField(null=True, unique=True)"), "comes with an index"),
    "reference": Planted(
        add("ForeignKey('accounts.Account', models.CASCADE, null=True)"), "comes with an index"
    ),
    "one_to_one": Planted(
        add(
            "ForeignKey('accounts.Account', models.CASCADE, null=True, unique=True, db_index=False)"
        ),
        "comes with an index",
    ),
    "with_a_check": Planted(add("PositiveIntegerField(null=True)"), "comes with a check"),
    "volatile": Planted(add("UUIDField(db_default=RandomUUID())"), "is computed for every row"),
    "time_of_now": Planted(add("DateTimeField(db_default=Now())")),
    "generated": Planted(
        add(
            "GeneratedField(expression=models.F('id'), output_field=models.BigIntegerField(), "
            "db_persist=True)"
        ),
        "is computed for every row",
    ),
    "index": Planted(f"migrations.AddIndex{ADD_INDEX}", "builds an index while nobody can write"),
    "index_concurrently": Planted(f"operations.AddIndexConcurrently{ADD_INDEX}", also=BATCHES),
    "index_in_transaction": Planted(
        f"operations.AddIndexConcurrently{ADD_INDEX}", "needs `atomic = False`"
    ),
    "check": Planted(f"migrations.AddConstraint{ADD_CHECK}", "while nobody can use the table"),
    "check_concurrently": Planted(
        f"operations.AddCheckConcurrently{ADD_CHECK}", also=f"{BATCHES}; {AFTER_RELEASE}"
    ),
    "check_at_once": Planted(
        f"operations.AddCheckConcurrently{ADD_CHECK}", "refuses rows that older code", BATCHES
    ),
    "unique_constraint": Planted(
        f"migrations.AddConstraint{ADD_UNIQUE}", "use AddUniqueConcurrently"
    ),
    "unique_concurrently": Planted(
        f"operations.AddUniqueConcurrently{ADD_UNIQUE}", also=f"{BATCHES}; {AFTER_RELEASE}"
    ),
    "unique_at_once": Planted(
        f"operations.AddUniqueConcurrently{ADD_UNIQUE}", "refuses rows that older code", BATCHES
    ),
    "another_constraint": Planted(
        "migrations.AddConstraint('apitoken', ExclusionConstraint(name='planted', "
        "expressions=[('name', '=')]))",
        "there is no way to do it meanwhile",
    ),
    "remove_unique": Planted(
        "migrations.SeparateDatabaseAndState(state_operations="
        f"[migrations.AddConstraint{ADD_UNIQUE}]), "
        "migrations.RemoveConstraint('apitoken', 'planted')",
        "on which older code may rely",
    ),
    "remove_check": Planted(
        "migrations.SeparateDatabaseAndState(state_operations="
        f"[migrations.AddConstraint{ADD_CHECK}]), "
        "migrations.RemoveConstraint('apitoken', 'planted')",
    ),
    "unique_together": Planted(
        "migrations.AlterUniqueTogether('apitoken', {('name', 'role')})", "AlterUniqueTogether"
    ),
    "rename_field": Planted(
        "migrations.RenameField('apitoken', 'name', 'planted')", "RenameField breaks processes"
    ),
    "rename_column": Planted(
        alter("name", "CharField(max_length=255, db_column='planted')"), "gets another column"
    ),
    "rename_model": Planted(
        "migrations.RenameModel('PepperCheck', 'Planted')", "RenameModel breaks processes"
    ),
    "rename_table": Planted(
        "migrations.AlterModelTable('peppercheck', 'planted')", "AlterModelTable breaks processes"
    ),
    "remove_field": Planted(
        "migrations.RemoveField('apitoken', 'description')", "RemoveField breaks processes"
    ),
    "remove_model": Planted(
        "migrations.DeleteModel('PepperCheck')", "DeleteModel breaks processes"
    ),
    "remove_after_nothing": Planted(
        "migrations.DeleteModel('PepperCheck')", "must name the release", "contracts = '7.7.7'"
    ),
    "remove_unreleased": Planted(
        "migrations.DeleteModel('PepperCheck')", "must name the release", "contracts = 'Unreleased'"
    ),
    "remove_after_release": Planted(
        "migrations.DeleteModel('PepperCheck')", "DeleteModel breaks processes", AFTER_RELEASE
    ),
    "remove_field_after_release": Planted(
        "migrations.RemoveField('apitoken', 'description')",
        "RemoveField breaks processes",
        AFTER_RELEASE,
    ),
    "remove_from_models": Planted(forget("description"), "new code cannot insert"),
    "remove_reference_from_models": Planted(forget("issuer"), "leaves a foreign key"),
    "remove_optional_from_models": Planted(forget("expires_at")),
    "remove_model_from_models": Planted(
        "migrations.SeparateDatabaseAndState("
        "state_operations=[migrations.DeleteModel('PepperCheck')])"
    ),
    "drop_column": Planted("operations.DropColumn('apitoken', 'gone')", also=AFTER_RELEASE),
    "drop_column_at_once": Planted(
        "operations.DropColumn('apitoken', 'gone')", "DropColumn breaks processes"
    ),
    "drop_column_of_the_release": Planted(
        "operations.DropColumn('apitoken', 'later')",
        "drops what 0.0.9 may still use",
        AFTER_RELEASE,
    ),
    "drop_column_that_never_was": Planted(
        "operations.DropColumn('apitoken', 'never')",
        "drops what 0.0.9 may still use",
        AFTER_RELEASE,
    ),
    "drop_column_after_release_without_commit": Planted(
        "operations.DropColumn('apitoken', 'gone')", "must name its commit", AFTER_NO_COMMIT
    ),
    "drop_column_of_models": Planted(
        f"{forget('expires_at')}, operations.DropColumn('apitoken', 'expires_at')",
        "drops what the models have",
        AFTER_RELEASE,
    ),
    "drop_table": Planted("operations.DropTable('apitokens_usereceipt')", also=AFTER_RELEASE),
    "drop_table_that_never_was": Planted(
        "operations.DropTable('gone')", "drops what 0.0.9 may still use", AFTER_RELEASE
    ),
    "drop_table_at_once": Planted("operations.DropTable('gone')", "DropTable breaks processes"),
    "drop_table_of_another_app": Planted(
        "operations.DropTable('sso_connection')", "drops what the models have", AFTER_RELEASE
    ),
    "drop_table_of_models": Planted(
        "operations.DropTable('apitokens_apitoken')", "drops what the models have", AFTER_RELEASE
    ),
    "remove_separately": Planted(
        "migrations.SeparateDatabaseAndState("
        "database_operations=[migrations.RemoveField('apitoken', 'description')])",
        "RemoveField breaks processes",
    ),
    "another_kind": Planted(alter("name", "TextField()"), "changes its kind"),
    "shorter": Planted(alter("name", "CharField(max_length=9)"), "changes its kind"),
    "longer": Planted(widen(add_index("fields=['planted']"))),
    "longer_with_search_index": Planted(
        alter("name", "CharField(max_length=999)"), "token_name_search is built or looked at anew"
    ),
    **{
        f"longer_with_{number}": Planted(widen(also), "on_it is built or looked at anew")
        for number, also in enumerate(
            (
                add_index("Lower('planted')"),
                add_index("fields=['-planted'], condition=models.Q(role=1)"),
                add_index("fields=['role'], include=['planted'], condition=models.Q(role=1)"),
                add_index("fields=['role'], condition=models.Q(planted__gt='')"),
                "migrations.AddConstraint('apitoken', models.CheckConstraint("
                "condition=~models.Q(planted=''), name='on_it'))",
            )
        )
    },
    "bounded": Planted(
        f"{add('CharField(null=True)')}, "
        "migrations.AlterField('apitoken', 'planted', models.CharField(max_length=9, null=True))",
        "changes its kind",
    ),
    "no_null": Planted(alter("pepper", "PositiveSmallIntegerField()"), "takes no NULL"),
    "no_null_after_release": Planted(
        alter("pepper", "PositiveSmallIntegerField(default=1)"), "takes no NULL", AFTER_RELEASE
    ),
    "null": Planted(alter("role", "PositiveSmallIntegerField(null=True)")),
    "indexed_later": Planted(
        alter("role", "PositiveSmallIntegerField(db_index=True)"), "gets an index"
    ),
    "not_indexed_any_more": Planted(
        alter(
            "deleted_by",
            "ForeignKey('accounts.User', models.PROTECT, null=True, related_name='+', "
            "db_index=False)",
        ),
        "loses its index",
    ),
    "unique_later": Planted(
        f"{add('IntegerField(null=True)')}, migrations.SeparateDatabaseAndState(state_operations="
        "[migrations.AlterField('apitoken', 'planted', models.IntegerField(null=True, "
        "db_index=True))]), migrations.AlterField('apitoken', 'planted', "
        "models.IntegerField(null=True, db_index=True, unique=True))",
        "gets an index",
    ),
    "derived": Planted(f"Derived{ADD_INDEX}", "does not know"),
    "of_its_own": Planted("Own()", "does not know"),
    "index_removed": Planted(
        "migrations.RemoveIndex('apitoken', 'planted')", "use RemoveIndexConcurrently"
    ),
    "index_removed_concurrently": Planted(REMOVE_INDEX, also=f"{BATCHES}; {AFTER_RELEASE}"),
    "index_removed_at_once": Planted(REMOVE_INDEX, "by which older code finds rows", BATCHES),
    "covered_index_removed": Planted(
        REMOVE_COVERED_INDEX.format(longer="['name', '-id']"), also=BATCHES
    ),
    "index_removed_that_another_does_not_begin_with": Planted(
        REMOVE_COVERED_INDEX.format(longer="['id', 'name']"),
        "by which older code finds rows",
        BATCHES,
    ),
    "covered_index_of_foreign_key_removed": Planted(
        "operations.RemoveForeignKeyIndexConcurrently('scope', 'service')",
        also=BATCHES,
    ),
    "index_of_foreign_key_removed": Planted(
        "operations.RemoveForeignKeyIndexConcurrently('apitoken', 'deleted_by')",
        "by which older code finds rows",
        BATCHES,
    ),
    "own_apply": Planted(
        "",
        "its class says more than this check knows (apply)",
        "def apply(self, state, editor, collect_sql=False): return state",
    ),
    "replaces": Planted(
        "", "must not replace others", "replaces = [('apitokens', '0021_search_past_strokes')]"
    ),
    "constraint_of_other_fields": Planted(
        alter_constraint("id"), "scope_once_in_service would stay as it is"
    ),
    "constraint_of_other_words": Planted(
        alter_constraint("code", ", violation_error_message='planted'")
    ),
    "unmanaged": Planted(
        "migrations.AlterModelOptions('apitoken', {'managed': False})", "`managed` keeps"
    ),
    "other_options": Planted("migrations.AlterModelOptions('apitoken', {'ordering': ['id']})"),
    "before_landed": Planted(
        add("IntegerField(null=True)"),
        "must not stand before",
        "run_before = [('sso', '0006_attributes_are_lines')]",
    ),
    "twice_in_state": Planted(
        "migrations.SeparateDatabaseAndState("
        f"database_operations=[operations.AddIndexConcurrently{ADD_INDEX}], "
        f"state_operations=[migrations.AddIndex{ADD_INDEX}])",
        also=BATCHES,
    ),
    "new_table_of_models_alone": Planted(
        "migrations.SeparateDatabaseAndState(state_operations=[migrations.CreateModel('Planted', "
        "[('id', models.BigAutoField(primary_key=True)), ('a', models.IntegerField())])]), "
        "migrations.AddIndex('planted', models.Index(fields=['a'], name='planted'))",
        "builds an index",
    ),
    "python": Planted("migrations.RunPython(print)", "RunPython changes rows in one go"),
    "sql": Planted(
        "migrations.RunSQL('UPDATE apitokens_apitoken SET role = 2')",
        "RunSQL is not known",
    ),
    **{
        f"sql_{number}": Planted(f"migrations.RunSQL({text!r})", "RunSQL is not known")
        for number, text in enumerate(
            (
                "WITH a AS (SELECT 1) UPDATE b SET c = 1",
                "SELECT 1; UPDATE b SET c = 1",
                "DO $$ BEGIN DELETE FROM b; END $$",
                "ALTER TABLE b DROP COLUMN c",
                "CREATE INDEX i ON b (c)",
                "DROP TRIGGER IF EXISTS planted; UPDATE b SET c = 1",
                ["DROP TRIGGER IF EXISTS planted", ("UPDATE b SET c = %s", [1])],
            )
        )
    },
    "sql_that_cascades": Planted(
        "migrations.RunSQL('DROP FUNCTION IF EXISTS planted() CASCADE')", "RunSQL is not known"
    ),
    "sql_that_forgets": Planted(
        "migrations.RunSQL('', "
        "state_operations=[migrations.RemoveField('apitoken', 'description')])",
        "new code cannot insert",
    ),
    "sql_of_schema": Planted("migrations.RunSQL('DROP TRIGGER IF EXISTS planted')"),
    "rows_in_batches": Planted(CHANGE_ROWS, also=BATCHES),
    "rows_in_one_batch": Planted(
        CHANGE_ROWS.replace("'new'))", "'new'), batch=1_000_000)"), "in one transaction", BATCHES
    ),
    "rows_and_schema": Planted(
        f"{add('IntegerField(null=True)')}, {CHANGE_ROWS}", "make two migrations of it", BATCHES
    ),
    "not_atomic": Planted(
        add("IntegerField(null=True)"), "holds operations of upgrades.operations alone", BATCHES
    ),
    "new_table": Planted(
        "migrations.CreateModel('Planted', [('id', models.BigAutoField(primary_key=True))]), "
        "migrations.AddField('planted', 'a', models.IntegerField(default=1)), "
        "migrations.AddIndex('planted', models.Index(fields=['a'], name='planted'))"
    ),
}


class Check(NamedTuple):
    """A copy of what the check reads."""

    tree: Path

    def __call__(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "scripts/migrations.py", *arguments],
            cwd=self.tree,
            env={**os.environ, "DATA_DIR": str(self.tree / "var")},
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    tree = tmp_path_factory.mktemp("tree")
    for app in APPS:
        for file in (ROOT / app).rglob("*.py"):
            copy = tree / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    land(tree, RELEASED)
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message=Release")
    commit = git(tree, "rev-parse", "--short", "HEAD")
    land(tree, LATER)
    (tree / "CHANGELOG.md").write_text(
        f"## [Unreleased]\n\n## [0.0.10] - 2026-02-01\n\n## [0.0.9] - 2026-01-01 ({commit})\n"
    )
    return Check(tree)


def git(tree: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *words]
    done = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def land(tree: Path, operations: dict[str, str]) -> None:
    """Write migrations of tokens, one after the other, and list them as landed."""
    folder = tree / "apitokens" / "migrations"
    for name, each in operations.items():
        latest = max(folder.glob("[0-9]*.py")).stem
        text = (
            "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"
            f"    dependencies = [('apitokens', {latest!r})]\n    operations = [{each}]\n"
        )
        (folder / f"{name}.py").write_text(text)
        with (tree / LIST).open("a") as listed:
            digest = hashlib.sha256(text.encode()).hexdigest()
            listed.write(f"{digest}  apitokens/migrations/{name}.py\n")


@pytest.fixture(scope="module")
def refusals(check: Check) -> dict[str, str]:
    """What the check says of each planted migration, in one run of it."""
    (latest,) = LATER
    names = [*PLANTED, OF_THE_PAGE]
    files = {name: check.tree / f"apitokens/migrations/9_{name}.py" for name in names}
    files[OF_THE_PAGE].write_text(migration_of_the_page(latest))
    for name, planted in PLANTED.items():
        files[name].write_text(
            "from django.contrib.postgres.constraints import ExclusionConstraint\n"
            "from django.contrib.postgres.functions import RandomUUID\n"
            "from django.db import migrations, models\n"
            "from django.db.migrations.operations.base import Operation\n"
            "from django.db.models.functions import Lower, Now\n"
            "from upgrades import operations\n\n\n"
            "class Derived(migrations.AddIndex): pass\n\n\n"
            "class Own(Operation):\n"
            "    def state_forwards(self, app, state): pass\n\n\n"
            "class Migration(migrations.Migration):\n"
            f"    dependencies = [('apitokens', {latest!r})]\n"
            f"    operations = [{planted.operations}]\n"
            f"    {planted.also}\n"
        )
    code, output = check()
    for file in files.values():
        file.unlink()
    assert code == 1
    said: dict[str, list[str]] = {name: [] for name in names}
    for line in output.splitlines():
        path, _colon, refusal = line.partition(": ")
        said[Path(path).stem.removeprefix("9_")].append(refusal)
    return {name: "\n".join(lines) for name, lines in said.items()}


def migration_of_the_page(latest: str) -> str:
    block = block_at("docs/upgrades.md: class Migration(migrations.Migration):")
    written = block.filled({"0008_apitoken_origin": latest, '["origin"]': '["name"]'}, {})
    return (
        "from django.db import migrations, models\n"
        f"from upgrades.operations import AddIndexConcurrently\n\n\n{written}"
    )


def test_migration_that_the_page_prints_is_not_refused(refusals: dict[str, str]) -> None:
    said = refusals[OF_THE_PAGE].splitlines()
    assert said == []


@pytest.mark.parametrize("name", [name for name, each in PLANTED.items() if each.refusal])
def test_migration_that_would_hold_people_up_is_refused(
    refusals: dict[str, str], name: str
) -> None:
    assert PLANTED[name].refusal in refusals[name]


@pytest.mark.parametrize("name", [name for name, each in PLANTED.items() if not each.refusal])
def test_migration_that_lets_people_go_on_is_not_refused(
    refusals: dict[str, str], name: str
) -> None:
    assert refusals[name] == ""


def test_migration_that_is_edited_together_with_its_line_of_the_list_is_refused(
    check: Check,
) -> None:
    landed, listed = check.tree / "accounts/migrations/0002_audit_by_time.py", check.tree / LIST
    migration, lines = landed.read_text(), listed.read_text()
    former = hashlib.sha256(landed.read_bytes()).hexdigest()
    commit = git(check.tree, "rev-parse", "HEAD")
    try:
        assert check() == (0, "")
        landed.write_text(f"{migration}# an afterthought\n")
        listed.write_text(lines.replace(former, hashlib.sha256(landed.read_bytes()).hexdigest()))
        said = check("--land")
        git(check.tree, "commit", "--quiet", "--all", "--message=Edit")
        assert check() == said
    finally:
        landed.write_text(migration)
        listed.write_text(lines)
        git(check.tree, "reset", "--quiet", "--mixed", commit)
    assert (said[0], f"listed as landed with the hash {former[:12]}" in said[1]) == (1, True)


def test_page_names_each_landed_migration_that_is_from_before_the_rules(check: Check) -> None:
    listed, history = check.tree / LIST, check.tree / ".git"
    lines = listed.read_text()
    listed.write_text("")
    away = history.rename(check.tree / "history")
    try:
        _code, output = check()
    finally:
        away.rename(history)
        listed.write_text(lines)
    refused = {line.partition(": ")[0] for line in output.splitlines()}
    _before, _title, section = (
        (ROOT / "docs" / "upgrades.md").read_text().partition("## Migrations from before")
    )
    rows = re.findall(r"^\| `(\w+)/(\d{4})` \|", section, re.MULTILINE)

    assert {f"{app}/{number}" for app, number in rows} == {
        path.replace("migrations/", "")[: -len(Path(path).name) + 4]
        for path in refused
        if (ROOT / path).exists()
    }


def test_new_migration_is_listed_once_it_passes_and_then_stays_as_it_is(check: Check) -> None:
    new = check.tree / "notifications/migrations/backfill.py"  # Django takes any name
    landed = check.tree / "accounts/migrations/0002_audit_by_time.py"
    renamed = landed.with_stem("0002_renamed")
    latest = max((ROOT / "notifications" / "migrations").glob("0*.py")).stem
    new.write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        f"    dependencies = [('notifications', {latest!r})]\n"
    )
    path = new.relative_to(check.tree)

    assert check() == (
        1,
        f"{path} is not in the list of landed migrations. "
        "If it is final, list it: make land-migrations\n",
    )
    assert check("--land") == (0, "")
    assert str(path) in (check.tree / LIST).read_text()
    assert check() == (0, "")

    new.write_text(f"{new.read_text()}# an afterthought\n")
    code, output = check()
    assert (code, f"{path} has landed, and was edited" in output) == (1, True)
    assert check("--land")[0] == 1
    new.unlink()
    landed.rename(renamed)
    try:
        code, output = check("--land")
    finally:
        renamed.rename(landed)
    assert (code, "0002_audit_by_time.py has landed, and is gone" in output) == (1, True)
