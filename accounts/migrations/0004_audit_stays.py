"""Audit events are kept by the database itself: it refuses to change or delete one.

A row in AuditPruning, which only its own transaction sees, lets the events go that are older than it
says. On SQLite, an operation that alters the table makes it anew, and the triggers have to be made
anew after it.
"""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

ON_SQLITE = [
    """
    CREATE TRIGGER audit_event_unchanged BEFORE UPDATE ON accounts_auditevent
    BEGIN SELECT RAISE(ABORT, 'Audit events cannot be changed.'); END
    """,
    """
    CREATE TRIGGER audit_event_undeleted BEFORE DELETE ON accounts_auditevent
    WHEN OLD.kind = 'audit.pruned'
        OR NOT EXISTS (SELECT 1 FROM accounts_auditpruning WHERE before > OLD.at)
    BEGIN SELECT RAISE(ABORT, 'Audit events cannot be deleted.'); END
    """,
]
ON_POSTGRESQL = [
    """
    CREATE FUNCTION audit_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF OLD.kind <> 'audit.pruned' AND EXISTS (
                SELECT 1 FROM accounts_auditpruning WHERE before > OLD.at
            ) THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'Audit events cannot be changed or deleted.'
            USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER audit_event_stays BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION audit_event_stays()
    """,
    """
    CREATE TRIGGER audit_events_stay BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_event_stays()
    """,
]
BACK_ON_SQLITE = [
    "DROP TRIGGER IF EXISTS audit_event_unchanged",
    "DROP TRIGGER IF EXISTS audit_event_undeleted",
]
BACK_ON_POSTGRESQL = [
    "DROP TRIGGER audit_event_stays ON accounts_auditevent",
    "DROP TRIGGER audit_events_stay ON accounts_auditevent",
    "DROP FUNCTION audit_event_stays()",
]


def keep(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    _run(editor, ON_SQLITE, ON_POSTGRESQL)


def keep_no_more(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    _run(editor, BACK_ON_SQLITE, BACK_ON_POSTGRESQL)


def _run(editor: BaseDatabaseSchemaEditor, on_sqlite: list[str], on_postgresql: list[str]) -> None:
    with editor.connection.cursor() as cursor:
        for statement in on_sqlite if editor.connection.vendor == "sqlite" else on_postgresql:
            cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_people"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditPruning",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("before", models.DateTimeField()),
            ],
        ),
        migrations.AlterModelOptions(
            name="auditevent",
            options={
                "base_manager_name": "objects",
                "verbose_name": "audit event",
                "verbose_name_plural": "audit events",
            },
        ),
        migrations.RunPython(keep, keep_no_more, atomic=True),
    ]
