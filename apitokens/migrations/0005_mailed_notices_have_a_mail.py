from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apitokens", "0004_verifier_keys"),
        ("notifications", "0002_letters"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="expirynotice",
            constraint=models.CheckConstraint(
                condition=~models.Q(channel="email") | models.Q(mail__isnull=False),
                name="expiry_notice_by_email_has_mail",
            ),
        ),
    ]
