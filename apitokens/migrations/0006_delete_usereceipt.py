from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("apitokens", "0005_mailed_notices_have_a_mail"),
    ]

    operations = [
        migrations.DeleteModel(name="UseReceipt"),
    ]
