"""Notices of expirations: what was decided about each."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apitokens.models.token import APIToken
from notifications.kinds import Channel
from notifications.models import Mail


class ExpiryNotice(models.Model):
    """The ledger: this person is told, by this channel, that this token expires then. Each once."""

    token = models.ForeignKey(
        APIToken, models.CASCADE, related_name="expiry_notices", db_index=False
    )
    expires_at = models.DateTimeField(_("expiration"))
    days = models.PositiveSmallIntegerField(_("days before"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    channel = models.CharField(_("channel"), max_length=8, choices=Channel)
    mail = models.ForeignKey(
        Mail, models.CASCADE, null=True, related_name="+", verbose_name=_("email")
    )
    created_at = models.DateTimeField(_("decided"))

    class Meta:
        verbose_name = _("expiry notification")
        verbose_name_plural = _("expiry notifications")
        constraints = [
            models.UniqueConstraint(
                fields=["token", "expires_at", "days", "user", "channel"],
                name="expiry_notice_once",
            ),
            models.CheckConstraint(
                condition=~Q(channel=Channel.EMAIL) | Q(mail__isnull=False),
                name="expiry_notice_by_email_has_mail",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.days} days, {self.channel} to {self.user_id}"
