from django.db import migrations, models
from django.db.models import Q

from accounts.text.expressions import sorted_column
from upgrades.operations import (
    AddIndexConcurrently,
    AddSortIndexConcurrently,
    RemoveIndexConcurrently,
)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("apitokens", "0019_sums_of_uses_filled")]

    operations = [
        AddIndexConcurrently(
            "apitoken",
            models.Index(
                fields=["account", "-created_at", "-id"],
                include=["expires_at", "issuer"],
                condition=Q(deleted_at__isnull=True),
                name="token_undeleted_newest",
            ),
        ),
        AddIndexConcurrently(
            "apitoken",
            models.Index(
                fields=["account", "expires_at", "id"],
                include=["issuer"],
                condition=Q(deleted_at__isnull=True),
                name="token_undeleted_soonest",
            ),
        ),
        AddSortIndexConcurrently("apitoken", "name", "token_by_name", sorted_column),
        RemoveIndexConcurrently("apitoken", "token_undeleted"),
        RemoveIndexConcurrently("apitoken", "token_expiring"),
    ]
