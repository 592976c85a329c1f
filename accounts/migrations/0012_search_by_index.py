from django.db import migrations

from accounts.text.expressions import folded_column
from upgrades.operations import AddSearchIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0011_lists_by_index")]

    operations = [
        AddSearchIndexConcurrently("user", "name", "user_name_search", folded_column),
        AddSearchIndexConcurrently("user", "email", "user_email_search", folded_column),
    ]
