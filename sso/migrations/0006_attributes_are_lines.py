from django.db import migrations, models

import accounts.validators


class Migration(migrations.Migration):
    dependencies = [
        ("sso", "0005_wording"),
    ]

    operations = [
        migrations.AlterField(
            model_name="connection",
            name=f"{name}_attribute",
            field=models.CharField(
                blank=True,
                max_length=255,
                validators=[accounts.validators.validate_line],
                verbose_name=f"{name} attribute",
            ),
        )
        for name in ("email", "name", "role")
    ]
