"""Uses of tokens: from where, how often, and the sums of that."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.http.client_ip import network_of
from accounts.models import Account
from apitokens.models.token import APIToken


class TokenAddress(models.Model):
    """A place that a token was used from, in the last 90 days; the latest of each token. Of an IPv6
    network only the first address is kept."""

    token = models.ForeignKey(APIToken, models.CASCADE, related_name="addresses", db_index=False)
    address = models.GenericIPAddressField(_("address"))
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("usage address")
        verbose_name_plural = _("usage addresses")
        constraints = [
            models.UniqueConstraint(fields=["token", "address"], name="token_address_once")
        ]
        indexes = [models.Index(fields=["last_seen_at"], name="token_address_to_forget")]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.address}"

    @property
    def place(self) -> str:
        """The address, or the IPv6 network in which all addresses count as this one."""
        return network_of(self.address)


class TokenUseDay(models.Model):
    """How often a token was used on one day, which begins and ends in UTC; and how often it was
    presented with the right secret and refused."""

    token = models.ForeignKey(APIToken, models.CASCADE, related_name="use_days", db_index=False)
    day = models.DateField(_("day"))
    count = models.PositiveBigIntegerField(_("uses"))
    # No positive one: its check would read the whole table while it is locked.
    refused = models.BigIntegerField(_("rejected uses"), default=0, db_default=0)

    class Meta:
        verbose_name = _("usage day")
        verbose_name_plural = _("usage days")
        constraints = [models.UniqueConstraint(fields=["token", "day"], name="token_use_day_once")]
        indexes = [models.Index(fields=["day"], name="token_use_day_to_forget")]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.count} on {self.day}"


class TokenUseSum(models.Model):
    """How often a token was used on all days that are kept: by it those used most are found."""

    token = models.OneToOneField(
        APIToken, models.CASCADE, primary_key=True, related_name="+", db_index=False
    )
    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    count = models.BigIntegerField(_("uses"))

    class Meta:
        verbose_name = "sum of uses"
        verbose_name_plural = "sums of uses"
        indexes = [models.Index(fields=["account", "-count", "token"], name="token_used_most")]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.count}"


class AccountUseDay(models.Model):
    """How often the tokens of an account were used on one day, and how often refused: the sums of
    `TokenUseDay`, kept with it."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    day = models.DateField(_("day"))
    count = models.BigIntegerField(_("uses"))
    refused = models.BigIntegerField(_("rejected uses"))

    class Meta:
        verbose_name = "usage day of an account"
        verbose_name_plural = "usage days of accounts"
        constraints = [
            models.UniqueConstraint(fields=["account", "day"], name="account_use_day_once")
        ]

    def __str__(self) -> str:
        return f"account {self.account_id}: {self.count} on {self.day}"
