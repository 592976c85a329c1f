"""Foreign keys whose column begins another index need none of their own."""

from django.db import migrations

from upgrades.operations import RemoveForeignKeyIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0020_kinds_by_index_alone"),
    ]

    operations = [
        RemoveForeignKeyIndexConcurrently("auditevent", "account"),
        RemoveForeignKeyIndexConcurrently("auditevent", "user"),
    ]
