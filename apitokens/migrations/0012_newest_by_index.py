from django.db import migrations, models

from upgrades.operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("apitokens", "0011_rotation")]

    operations = [
        AddIndexConcurrently(
            "apitoken", models.Index(fields=["-created_at", "-id"], name="token_newest")
        ),
    ]
