"""Foreign keys whose column begins another index need none of their own."""

from django.db import migrations

from upgrades.operations import RemoveForeignKeyIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("notifications", "0008_refusals"),
    ]

    operations = [
        RemoveForeignKeyIndexConcurrently("notice", "user"),
    ]
