"""Families of short-lived tokens (JWT)."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.account import Membership
from accounts.models.user import User


class TokenFamilyQuerySet(models.QuerySet["TokenFamily"]):
    def live(self, at: datetime) -> TokenFamilyQuerySet:
        """Families that are neither ended nor expired."""
        return self.filter(ended_at__isnull=True, expires_at__gt=at)


class TokenFamily(models.Model):
    """All short-lived tokens (JWT) of one sign-in through the API, for one account.

    Only the newest refresh token is good, and once. `expires_at` is its end, and moves with it.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="token_families")
    membership = models.ForeignKey(Membership, models.PROTECT, related_name="token_families")
    created_at = models.DateTimeField(_("created"))
    """The time of the sign-in; refreshing, or switching to another account, does not change it."""
    expires_at = models.DateTimeField(_("expires"))
    current_refresh = models.UUIDField(default=uuid4, editable=False)
    """The `jti` of the valid refresh token."""
    sign_in = models.UUIDField(default=uuid4, editable=False, db_index=True)
    """Shared by all families of one sign-in: one for each account that was chosen."""
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    ended_why = models.CharField(_("reason for ending"), max_length=32, blank=True)
    """A stable code: reused, password, deactivated, removed, left …"""
    address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)

    objects = TokenFamilyQuerySet.as_manager()

    class Meta:
        verbose_name = _("token family")
        verbose_name_plural = _("token families")
        indexes = [
            models.Index(fields=["expires_at"], name="token_family_to_forget"),
        ]

    def __str__(self) -> str:
        return str(self.pk)
