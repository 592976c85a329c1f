from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("apitokens", "0008_wording")]

    operations = [
        migrations.AddField(
            "tokenuseday",
            "refused",
            models.BigIntegerField("rejected uses", default=0, db_default=0),
        ),
    ]
