from django.db import migrations

from accounts.text.expressions import folded_column
from upgrades.operations import RebuildSearchIndexConcurrently


class Migration(migrations.Migration):
    """Searches look past strokes, typographic apostrophes and hyphens, and spaces in a row."""

    atomic = False
    dependencies = [("apitokens", "0020_lists_by_index")]

    operations = [
        RebuildSearchIndexConcurrently("apitoken", "name", "token_name_search", folded_column),
        RebuildSearchIndexConcurrently(
            "apitoken", "description", "token_description_search", folded_column
        ),
    ]
