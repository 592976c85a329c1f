"""Notification settings, inbox entries, and the outbox of mails."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from notifications.kinds import EVERY_KIND, Channel

ALL_KINDS = ""
"""The `kind` of the master switch "Allow notifications"."""


def kind_choices() -> list[tuple[str, str]]:
    return [(kind.code, str(kind.name)) for kind in EVERY_KIND.values()]


class Preference(models.Model):
    """A person's answer for one account, kind and channel, where it differs from the default."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    account = models.ForeignKey("accounts.Account", models.CASCADE, related_name="+")
    kind = models.CharField(max_length=32, blank=True)
    channel = models.CharField(max_length=8, choices=Channel, blank=True)
    is_on = models.BooleanField()

    class Meta:
        verbose_name = _("notification setting")
        verbose_name_plural = _("notification settings")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "account", "kind", "channel"], name="preference_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind or 'all'}/{self.channel or 'all'}: {'on' if self.is_on else 'off'}"


class Refusal(models.Model):
    """Mails of one kind about an account that an address, which is no person's, does not want."""

    account = models.ForeignKey("accounts.Account", models.CASCADE, related_name="+")
    kind = models.CharField(max_length=32)
    address_digest = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "address_digest", "kind"], name="refusal_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: refused by {self.address_digest[:8]}…"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unread(self) -> NoticeQuerySet:
        return self.filter(read_at__isnull=True)

    def to(self, *, user_id: int, account_id: int) -> NoticeQuerySet:
        """The inbox of one person in one account, newest first."""
        return self.filter(user_id=user_id, account_id=account_id).order_by("-created_at", "-pk")


class Notice(models.Model):
    """One entry of a person's inbox."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    account = models.ForeignKey("accounts.Account", models.CASCADE, related_name="+")
    kind = models.CharField(_("kind"), max_length=32)
    title = models.CharField(_("title"), max_length=255)
    text = models.TextField(_("text"), blank=True)
    link = models.CharField(max_length=2000, blank=True)
    """A path of the portal, where something can be done about it."""
    created_at = models.DateTimeField(_("time"))
    read_at = models.DateTimeField(_("read"), null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        indexes = [
            models.Index(fields=["user", "account", "-created_at"], name="notice_inbox"),
            models.Index(
                fields=["user", "account"],
                condition=Q(read_at__isnull=True),
                name="notice_unread",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class State(models.TextChoices):
    """Where a mail is on its way. Only `handing_over` can leave doubt whether it arrived."""

    PENDING = "pending", _("Waiting to be sent")
    CLAIMED = "claimed", _("Being sent")
    HANDING_OVER = "handing_over", _("Passed to the mail server, waiting for a reply")
    SENT = "sent", _("Sent")
    DROPPED = "dropped", _("No longer needed")
    HELD = "held", _("On hold: it may already have been delivered")
    FAILED = "failed", _("Failed")


IN_HAND = (State.CLAIMED, State.HANDING_OVER)
"""A sender has it, until its lease is over."""
OPEN_STATES = (State.PENDING, *IN_HAND)


class MailQuerySet(models.QuerySet["Mail"]):
    def due(self, at: datetime) -> MailQuerySet:
        return self.filter(state=State.PENDING, next_try_at__lte=at)

    def abandoned(self, at: datetime) -> MailQuerySet:
        """Mails whose sender died before the hand-over: they were surely not sent."""
        return self.filter(state=State.CLAIMED, lease_until__lte=at)

    def in_doubt(self, at: datetime) -> MailQuerySet:
        """Mails whose sender died during the hand-over: nobody can know whether they arrived."""
        return self.filter(state=State.HANDING_OVER, lease_until__lte=at)


class Mail(models.Model):
    """One mail to one person. It is claimed before it is sent and marked after (facts: RFC 1047).

    `resend_in_doubt` says what happens to one that may or may not have arrived.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    account = models.ForeignKey(
        "accounts.Account", models.CASCADE, null=True, blank=True, related_name="+"
    )
    """None for what concerns the person alone: their password, their address."""
    address = models.EmailField(_("address"), blank=True, default="", db_default="")
    """Where it goes, if not to the address that the user has when it is sent."""
    kind = models.CharField(_("kind"), max_length=32)
    facts = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(_("created"))

    state = models.CharField(_("state"), max_length=12, choices=State, default=State.PENDING)
    next_try_at = models.DateTimeField(_("next attempt"))
    give_up_at = models.DateTimeField(_("retry until"))
    tries = models.PositiveSmallIntegerField(_("attempts"), default=0)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    """Why the last try did not succeed."""
    owner = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    resend_in_doubt = models.BooleanField(default=True)
    was_in_doubt = models.BooleanField(_("delivery was uncertain"), default=False)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    objects = MailQuerySet.as_manager()

    class Meta:
        verbose_name = _("email")
        verbose_name_plural = _("emails")
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="mail_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=IN_HAND, lease_until__isnull=False) & ~Q(owner="")
                | ~Q(state__in=IN_HAND) & Q(lease_until__isnull=True, owner=""),
                name="mail_in_hand_has_owner",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(state=State.PENDING), name="mail_pending"
            ),
            models.Index(
                fields=["lease_until"],
                condition=Q(state__in=[State.CLAIMED, State.HANDING_OVER]),
                name="mail_leased",
            ),
            models.Index(
                fields=["user", "account", "kind"],
                condition=Q(state=State.PENDING),
                name="mail_to_extend",
            ),
            models.Index(
                fields=["state"],
                condition=Q(state__in=[State.HELD, State.FAILED]),
                name="mail_for_operators",
            ),
            models.Index(fields=["-created_at", "-id"], name="mail_newest"),
            # Operators search in reasons, which few mails have.
            models.Index(fields=["id"], condition=Q(reason__gt=""), name="mail_with_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def goes_to(self) -> str:
        """The address that the mail goes to as of now."""
        return self.address or self.user.email

    @property
    def is_open(self) -> bool:
        """True while something will still happen to it by itself."""
        return self.state in OPEN_STATES


class Heartbeat(models.Model):
    """When a piece of background work last finished."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"
