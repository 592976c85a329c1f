from django.db import migrations, models

import accounts.validators


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_single_sign_on")]

    operations = [
        migrations.AlterField(
            model_name="account",
            name="name",
            field=models.CharField(
                max_length=150,
                validators=[accounts.validators.validate_name],
                verbose_name="company name",
            ),
        ),
        migrations.AlterField(
            model_name="invitation",
            name="name",
            field=models.CharField(
                blank=True,
                max_length=150,
                validators=[accounts.validators.validate_name],
                verbose_name="name",
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="name",
            field=models.CharField(
                blank=True,
                max_length=150,
                validators=[accounts.validators.validate_name],
                verbose_name="name",
            ),
        ),
    ]
