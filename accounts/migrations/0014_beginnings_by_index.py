from django.db import migrations

from accounts.text.expressions import folded_column
from upgrades.operations import AddPrefixIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0013_service_accounts")]

    operations = [
        AddPrefixIndexConcurrently("user", "name", "user_name_begins", folded_column),
        AddPrefixIndexConcurrently("user", "email", "user_email_begins", folded_column),
    ]
