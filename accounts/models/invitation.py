"""Invitations to an account."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.models.account import Account, Membership
from accounts.models.user import Language, User
from accounts.roles import Role
from accounts.text.fields import WrittenField
from accounts.validators import validate_name


def draw_nonce() -> str:
    """Draw a nonce, which makes the link of one mail different from all others."""
    return secrets.token_hex(16)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Invitations neither accepted nor withdrawn, late ones included."""
        return self.filter(accepted_at__isnull=True, withdrawn_at__isnull=True)


class Invitation(models.Model):
    """An invitation of an address to join an account with a role. Its user exists already.

    The link in the mail is signed over id and nonce, so nothing secret is kept, and the mail can be
    written at any time. Each sending draws another nonce: older links die.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="invitations")
    user = models.ForeignKey(User, models.PROTECT, related_name="invitations")
    email = models.EmailField(_("email"))
    name = WrittenField(_("name"), max_length=150, blank=True, validators=[validate_name])
    """As the inviter wrote it; a known user keeps their own name."""
    language = models.CharField(
        _("language"), max_length=2, choices=Language, default=Language.ENGLISH
    )
    role = models.PositiveSmallIntegerField(_("role"), choices=Role)
    invited_by = models.ForeignKey(
        Membership,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("invited by"),
    )
    """None for an operator of the portal."""
    created_at = models.DateTimeField(_("created"))
    sent_at = models.DateTimeField(_("sent"))
    times_sent = models.PositiveSmallIntegerField(_("times sent"), default=1)
    expires_at = models.DateTimeField(_("link valid until"))
    nonce = models.CharField(max_length=32, default=draw_nonce, editable=False)
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "user"],
                condition=Q(accepted_at__isnull=True, withdrawn_at__isnull=True),
                name="invitation_open_once",
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="invitation_role_known"),
            models.CheckConstraint(
                condition=Q(accepted_at__isnull=True) | Q(withdrawn_at__isnull=True),
                name="invitation_one_end",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("sent_at")), name="invitation_expires_after_sending"
            ),
        ]
        indexes = [models.Index(fields=["account", "-created_at"], name="invitation_by_account")]

    def __str__(self) -> str:
        return f"{self.email} · {self.account}"

    @property
    def given_role(self) -> Role:
        return Role(self.role)

    @property
    def is_open(self) -> bool:
        """True until it is accepted or withdrawn, late or not."""
        return self.accepted_at is None and self.withdrawn_at is None

    def is_late(self, at: datetime) -> bool:
        """True once the link has expired."""
        return self.expires_at <= at
