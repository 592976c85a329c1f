from django.db import migrations, models
from django.db.models import Q

from upgrades.operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notifications", "0006_newest_by_index")]

    operations = [
        AddIndexConcurrently(
            "mail",
            models.Index(fields=["id"], condition=Q(reason__gt=""), name="mail_with_reason"),
        ),
    ]
