"""The audit log."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models.account import Account
from accounts.models.user import User


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Refuses to change or delete events. The database's triggers refuse it too."""

    def newest_first(self) -> AuditEventQuerySet:
        return self.order_by("-at", "-pk")

    def update(self, **_changes: Any) -> NoReturn:
        raise TypeError("Audit events cannot be changed.")

    def bulk_update(self, *_args: Any, **_facts: Any) -> NoReturn:
        raise TypeError("Audit events cannot be changed.")

    def _update(self, *_args: Any, **_facts: Any) -> NoReturn:
        raise TypeError("Audit events cannot be changed.")

    def delete(self) -> NoReturn:
        raise TypeError("Audit events cannot be deleted.")

    def _raw_delete(self, *_args: Any, **_facts: Any) -> NoReturn:
        raise TypeError("Audit events cannot be deleted.")


class AuditEvent(models.Model):
    """An event: who did what, through which token, from where, when. Never edited.

    `kind` is a stable dotted code ("token.issued"); `subject` names what it was done to, by model
    and key; `details` holds facts, never a secret.
    """

    at = models.DateTimeField(_("time"))
    kind = models.CharField(_("event"), max_length=64)
    account = models.ForeignKey(
        Account,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("account"),
    )
    user = models.ForeignKey(
        User,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("user"),
    )
    through_token = models.BigIntegerField(_("via API token"), null=True, blank=True)
    through = models.CharField(_("via"), max_length=16)
    address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    subject_type = models.CharField(max_length=32, blank=True)
    subject_id = models.BigIntegerField(null=True, blank=True)
    details = models.JSONField(_("details"), default=dict, blank=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["-at"], name="audit_by_time"),
            models.Index(fields=["account", "-at"], name="audit_by_account"),
            models.Index(fields=["user", "-at"], name="audit_by_user"),
            models.Index(fields=["subject_type", "subject_id", "-at"], name="audit_by_subject"),
            # The operators' filter asks for a kind alone: the same index, by its first column.
            models.Index(fields=["kind", "account", "-at", "-id"], name="audit_by_kind_newest"),
            models.Index(
                fields=["through_token", "-at"],
                condition=Q(through_token__isnull=False),
                name="audit_by_through_token",
            ),
            # Sign-ins, which belong to no account: for the Administrators of each of the person's.
            models.Index(
                fields=["subject_id", "-at"],
                condition=Q(account__isnull=True, subject_type="user"),
                name="audit_outside_accounts",
            ),
            models.Index(
                fields=["-at"],
                condition=Q(account__isnull=True, subject_type="user"),
                name="audit_outside_by_time",
            ),
            models.Index(
                fields=["kind", "-at", "-id"],
                condition=Q(account__isnull=True, subject_type="user"),
                name="audit_outside_by_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("Audit events cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events cannot be deleted.")


class AuditPruning(models.Model):
    """Permits, while the row exists, to delete events older than `before`; triggers check it.

    It exists inside one transaction of `accounts.audit.retention` only, so that no other connection
    ever sees one.
    """

    before = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.before:%Y-%m-%d %H:%M:%S}"
