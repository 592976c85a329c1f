from django.db import migrations, models
from django.db.models import Q

IN_HAND = ("claimed", "handing_over")
STATES = ["pending", *IN_HAND, "sent", "dropped", "held", "failed"]


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_letters")]

    operations = [
        migrations.AddConstraint(
            model_name="mail",
            constraint=models.CheckConstraint(
                condition=Q(state__in=STATES), name="mail_state_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="mail",
            constraint=models.CheckConstraint(
                condition=Q(state__in=IN_HAND, lease_until__isnull=False) & ~Q(owner="")
                | ~Q(state__in=IN_HAND) & Q(lease_until__isnull=True, owner=""),
                name="mail_in_hand_has_owner",
            ),
        ),
    ]
