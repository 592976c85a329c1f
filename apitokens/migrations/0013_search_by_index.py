from django.db import migrations

from accounts.text.expressions import folded_column
from upgrades.operations import AddSearchIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("apitokens", "0012_newest_by_index")]

    operations = [
        AddSearchIndexConcurrently("apitoken", "name", "token_name_search", folded_column),
        AddSearchIndexConcurrently(
            "apitoken", "description", "token_description_search", folded_column
        ),
    ]
