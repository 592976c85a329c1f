from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sso", "0002_signed_messages"),
    ]

    operations = [
        migrations.AddField(
            model_name="subject",
            name="name_id_format",
            # With a default of the database, so that processes of the former version go on.
            field=models.CharField(blank=True, db_default="", default="", max_length=255),
        ),
        migrations.AlterField(
            model_name="subject",
            name="name_id",
            field=models.CharField(max_length=255, verbose_name="name at the provider"),
        ),
        migrations.AlterModelOptions(
            name="subject",
            options={
                "verbose_name": "linked person",
                "verbose_name_plural": "people linked by single sign-on",
            },
        ),
    ]
