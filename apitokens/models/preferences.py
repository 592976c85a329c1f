"""How a person likes to see the list of tokens."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Density(models.TextChoices):
    """How much room a row of the list takes."""

    COMFORTABLE = "comfortable", _("Comfortable")
    COMPACT = "compact", _("Compact")


class ListPreferences(models.Model):
    """How a person likes the list of tokens, in all their accounts. Who has chosen nothing has no
    row."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    columns = models.CharField(
        max_length=255, blank=True, help_text="Keys of the columns, with commas between them."
    )
    density = models.CharField(max_length=16, choices=Density, default=Density.COMFORTABLE)

    class Meta:
        verbose_name = "preferences of the list"
        verbose_name_plural = "preferences of the list"

    def __str__(self) -> str:
        return f"{self.user_id}: {self.columns}, {self.density}"
