from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0016_search_past_strokes"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="sign_in_number",
            field=models.IntegerField(db_default=0, default=0, editable=False),
        ),
    ]
