from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("apitokens", "0007_pepper_checks")]

    operations = [
        migrations.AddField(
            "tokenuseday",
            "refused",
            models.BigIntegerField("refused uses", default=0, db_default=0),
        ),
    ]
