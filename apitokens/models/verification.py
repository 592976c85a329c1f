"""What those know who verify: peppers, hosts, and keys of resource servers."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.random_ids import draw_id
from accounts.text.fields import WrittenField
from accounts.validators import validate_line, validate_visible
from apitokens import keys
from apitokens.models.scopes import Service


class PepperCheck(models.Model):
    """A value by which the database knows a pepper that it does not have. Numbers are never used
    again, so that a row stays when its pepper retires. Row 0, which no pepper has, is the
    `SECRET_KEY` of the process that has started last."""

    SECRET_KEY = 0

    number = models.PositiveSmallIntegerField(primary_key=True)
    check_value = models.BinaryField(max_length=keys.DIGEST_BYTES, editable=False)
    first_seen_at = models.DateTimeField(_("first seen"))

    class Meta:
        verbose_name = "pepper"
        verbose_name_plural = "peppers"

    def __str__(self) -> str:
        return f"pepper {self.number}"


class VerifyingHost(models.Model):
    """A host (processes that share a data folder) that answers from memory; see
    `apitokens.cache.hosts`, which alone writes and reads this, on PostgreSQL."""

    id = models.BigIntegerField(primary_key=True)
    seen_at = models.DateTimeField()
    lease = models.FloatField()
    """Seconds, at the longest, for which it believes what it has read."""

    class Meta:
        verbose_name = "verifying host"
        verbose_name_plural = "verifying hosts"

    def __str__(self) -> str:
        return f"host {self.pk}"


class VerifierKey(models.Model):
    """A key by which another system may ask what a token is good for. Stored as tokens are."""

    id = models.BigIntegerField("ID", primary_key=True, default=draw_id, editable=False)
    name = WrittenField(
        _("name"),
        max_length=255,
        validators=[validate_line, validate_visible],
        help_text=_("The system that will use the key, for example: video storage."),
    )
    service = models.ForeignKey(
        Service,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="verifier_keys",
        verbose_name=_("service"),
        help_text=_(
            "With a service, the key sees only tokens that can be used at it, and only its scopes."
        ),
    )
    digest = models.BinaryField(max_length=keys.DIGEST_BYTES, null=True, editable=False)
    pepper = models.PositiveSmallIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"))
    last_used_at = models.DateTimeField(_("last usage"), null=True, blank=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("verifier key")
        verbose_name_plural = _("verifier keys")
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__isnull=False, pepper__isnull=False)
                | Q(digest__isnull=True, pepper__isnull=True, deleted_at__isnull=False),
                name="verifier_digest_until_deleted",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"
