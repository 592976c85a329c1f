"""Foreign keys whose column begins another index need none of their own."""

from django.db import migrations

from upgrades.operations import RemoveForeignKeyIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("apitokens", "0022_issuers_and_roles_by_index"),
    ]

    operations = [
        RemoveForeignKeyIndexConcurrently("apitoken", "account"),
        RemoveForeignKeyIndexConcurrently("apitoken", "issuer"),
        RemoveForeignKeyIndexConcurrently("expirynotice", "token"),
        RemoveForeignKeyIndexConcurrently("tokenaddress", "token"),
        RemoveForeignKeyIndexConcurrently("tokenuseday", "token"),
    ]
