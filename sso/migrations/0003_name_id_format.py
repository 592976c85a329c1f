from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sso", "0002_signed_messages")]

    operations = [
        migrations.AddField(
            model_name="subject",
            name="name_id_format",
            # With a default of the database, so that processes of the former version go on.
            field=models.CharField(blank=True, db_default="", default="", max_length=255),
        ),
    ]
