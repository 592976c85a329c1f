from django.db import migrations, models
from django.db.models import Q

from upgrades.operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0014_beginnings_by_index")]

    operations = [
        AddIndexConcurrently(
            "auditevent",
            models.Index(
                fields=["kind", "-at", "-id"],
                condition=Q(account__isnull=True, subject_type="user"),
                name="audit_outside_by_kind",
            ),
        ),
    ]
