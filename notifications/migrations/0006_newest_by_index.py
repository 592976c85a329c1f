from django.db import migrations, models

from upgrades.operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notifications", "0005_wording")]

    operations = [
        AddIndexConcurrently(
            "mail", models.Index(fields=["-created_at", "-id"], name="mail_newest")
        ),
    ]
