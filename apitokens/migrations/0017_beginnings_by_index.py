from django.db import migrations

from accounts.text.expressions import folded_column
from upgrades.operations import AddPrefixIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("apitokens", "0016_address_lists")]

    operations = [
        AddPrefixIndexConcurrently("apitoken", "name", "token_name_begins", folded_column),
    ]
