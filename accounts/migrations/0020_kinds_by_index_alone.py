from django.db import migrations, models

from upgrades.operations import AddIndexConcurrently, RemoveIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0019_contacts_of_before_have_agreed")]

    operations = [
        AddIndexConcurrently(
            "auditevent",
            models.Index(fields=["kind", "account", "-at", "-id"], name="audit_by_kind_newest"),
        ),
        RemoveIndexConcurrently("auditevent", "audit_by_kind"),
    ]
