from typing import Any

from django.db import migrations
from django.db.models import F, QuerySet

from upgrades.operations import ChangeRowsInBatches


def agree(service_accounts: QuerySet[Any]) -> None:
    """They get notices already, each with a link to unsubscribe, and must not fall silent."""
    service_accounts.update(confirmed_email=F("contact_email"))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0018_contacts_agree")]

    operations = [ChangeRowsInBatches("serviceaccount", agree)]
