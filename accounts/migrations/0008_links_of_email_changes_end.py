from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_older_code_can_insert"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="email_change_number",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False),
        ),
    ]
