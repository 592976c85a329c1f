"""During an upgrade older processes run on the newer schema: they insert rows without the columns
that they do not know."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models import Model
from django.utils import timezone

APPS = ("accounts", "apitokens", "notifications", "sso")
pytestmark = [pytest.mark.django_db, pytest.mark.both]


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def former_states(loader: MigrationLoader) -> Iterator[ProjectState]:
    """The models as they were after each migration of ours."""
    ours = [key for key in loader.graph.nodes if key[0] in APPS]
    for key in ours:
        yield loader.project_state(key)


COLUMNS = {
    "sqlite": """
        SELECT name FROM pragma_table_info(%s) WHERE "notnull" AND dflt_value IS NULL
        AND NOT (pk AND lower(type) = 'integer')
    """,
    "postgresql": """
        SELECT column_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = %s
        AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
    """,
}
"""Those that every INSERT has to name."""


def mandatory_columns(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS[connection.vendor], [table])
        return {name for (name,) in cursor.fetchall()}


def named_columns(model: type[Model]) -> set[str]:
    """Those that an INSERT of this model names: all but a number that the database counts."""
    return {
        field.column
        for field in model._meta.local_concrete_fields
        if field is not model._meta.auto_field
    }


def test_every_former_version_can_insert_into_every_table(loader: MigrationLoader) -> None:
    present = set(connection.introspection.table_names())
    mandatory = {table: mandatory_columns(table) for table in present}
    looked_at, missing = set[str](), set[tuple[str, str]]()

    for state in former_states(loader):
        for model in state.apps.get_models():
            table = model._meta.db_table
            if model._meta.app_label in APPS and table in present:
                unnamed = mandatory[table] - named_columns(model)
                missing |= {(table, column) for column in unnamed}
                looked_at.add(table)

    assert missing == set()
    assert {"accounts_user", "apitokens_apitoken", "notifications_mail"} <= looked_at


def test_first_version_can_open_an_account_and_issue_a_token(loader: MigrationLoader) -> None:
    """The rows of people and tokens, by the models of the first migrations."""
    first: Any = loader.project_state(("apitokens", "0001_initial")).apps
    at = timezone.now()

    user = first.get_model("accounts", "User").objects.create(email="old@example.com")
    account = first.get_model("accounts", "Account").objects.create(name="Older Inc.")
    member = first.get_model("accounts", "Membership").objects.create(
        user=user, account=account, role=1
    )
    token = first.get_model("apitokens", "APIToken").objects.create(
        account=account,
        issuer=member,
        name="Older",
        role=2,
        created_at=at,
        digest=b"0" * 32,
        pepper=1,
    )

    user.refresh_from_db()
    token.refresh_from_db()
    assert (user.email, token.issuer.user_id) == ("old@example.com", user.pk)


def test_first_version_can_write_a_mail(loader: MigrationLoader) -> None:
    first: Any = loader.project_state(("notifications", "0001_inbox_and_mails")).apps
    at = timezone.now()
    user = first.get_model("accounts", "User").objects.create(email="old@example.com")
    account = first.get_model("accounts", "Account").objects.create(name="Older Inc.")

    mail = first.get_model("notifications", "Mail").objects.create(
        account=account, user=user, kind="token", created_at=at, next_try_at=at, give_up_at=at
    )

    mail.refresh_from_db()
    assert mail.state == "pending"
