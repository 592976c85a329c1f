from django.db import migrations, models

from upgrades.operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("apitokens", "0021_search_past_strokes")]

    operations = [
        AddIndexConcurrently(
            "apitoken",
            models.Index(fields=["account", "issuer"], name="token_by_account_issuer"),
        ),
        AddIndexConcurrently("apitoken", models.Index(fields=["role", "id"], name="token_by_role")),
    ]
