from django.core.validators import MaxValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_wording")]

    operations = [
        migrations.AddField(
            "account",
            "raised_token_limit",
            models.IntegerField(
                blank=True, editable=False, null=True, validators=[MaxValueValidator(100_000)]
            ),
        ),
    ]
