from django.db import migrations, models
from django.db.models import Q

from upgrades.operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0010_raised_token_limit")]

    operations = [
        AddIndexConcurrently(
            "auditevent",
            models.Index(fields=["kind", "account", "-at"], name="audit_by_kind"),
        ),
        AddIndexConcurrently(
            "auditevent",
            models.Index(
                fields=["through_token", "-at"],
                condition=Q(through_token__isnull=False),
                name="audit_by_through_token",
            ),
        ),
        AddIndexConcurrently(
            "auditevent",
            models.Index(
                fields=["subject_id", "-at"],
                condition=Q(account__isnull=True, subject_type="user"),
                name="audit_outside_accounts",
            ),
        ),
        AddIndexConcurrently(
            "auditevent",
            models.Index(
                fields=["-at"],
                condition=Q(account__isnull=True, subject_type="user"),
                name="audit_outside_by_time",
            ),
        ),
        AddIndexConcurrently(
            "membership",
            models.Index(
                fields=["account"],
                condition=Q(tokens_suspended_at__isnull=False),
                name="membership_suspended",
            ),
        ),
    ]
