from django.db import migrations

from accounts.text.expressions import folded_column
from upgrades.operations import RebuildSearchIndexConcurrently


class Migration(migrations.Migration):
    """Searches look past strokes, typographic apostrophes and hyphens, and spaces in a row."""

    atomic = False
    dependencies = [("accounts", "0015_sign_ins_by_index")]

    operations = [
        RebuildSearchIndexConcurrently("user", "name", "user_name_search", folded_column),
        RebuildSearchIndexConcurrently("user", "email", "user_email_search", folded_column),
    ]
