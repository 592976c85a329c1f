from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apitokens", "0002_expiry_notices"),
        ("notifications", "0001_inbox_and_mails"),
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
