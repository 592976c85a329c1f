"""People, accounts, and what a person is in an account."""

from __future__ import annotations

import zoneinfo
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.languages import catalogue_for
from accounts.roles import Role
from accounts.text import validate_line

TOKEN_LIMIT_DEFAULT = 50
TOKEN_LIMIT_HIGHEST = 10_000


class Language(models.TextChoices):
    """Languages a person may choose; the values are the API's `lang`."""

    ENGLISH = "en", "English"
    GERMAN = "de", "Deutsch"
    RUSSIAN = "ru", "Русский"
    CHINESE = "zh", "中文"
    AZERBAIJANI = "az", "Azərbaycanca"


def validate_time_zone(name: str) -> None:
    """Refuse a name that is not in the IANA time zone database."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("Choose a time zone from the list."), code="time_zone")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **facts: Any) -> User:
        """Make a user; the address is kept in lower case, because people type it both ways."""
        user = self.model(email=email.strip().lower(), **facts)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **facts: Any) -> User:
        """Make an operator, who may use the Django admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **facts)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Signs in by e-mail; is somebody in an account only through a membership."""

    email = models.EmailField(
        _("e-mail"),
        unique=True,
        error_messages={"unique": _("There is a user with this e-mail already.")},
    )
    name = models.CharField(_("name"), max_length=150, blank=True, validators=[validate_line])
    language = models.CharField(
        _("language"), max_length=2, choices=Language, default=Language.ENGLISH
    )
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", validators=[validate_time_zone]
    )
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Switched off, the user cannot sign in and their API tokens stop at once."),
    )
    is_staff = models.BooleanField(
        _("operator"), default=False, help_text=_("May use the Django admin.")
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique_in_any_case"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def catalogue(self) -> str:
        """The translation catalogue that this person reads."""
        return catalogue_for(self.language)

    def get_full_name(self) -> str:
        """What to call the person: their name, or their address while they have none."""
        return self.name or self.email


class Account(models.Model):
    """A tenant (the API calls it *client*)."""

    name = models.CharField(_("company name"), max_length=150, validators=[validate_line])
    token_limit = models.PositiveSmallIntegerField(
        _("token limit"),
        default=TOKEN_LIMIT_DEFAULT,
        validators=[MinValueValidator(0), MaxValueValidator(TOKEN_LIMIT_HIGHEST)],
        help_text=_("How many active API tokens the account may have."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    closed_at = models.DateTimeField(
        _("closed"),
        null=True,
        blank=True,
        help_text=_("While set, nobody can work in the account and its API tokens are refused."),
    )

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")

    def __str__(self) -> str:
        return self.name


class MembershipQuerySet(models.QuerySet["Membership"]):
    def present(self) -> MembershipQuerySet:
        """Those who may act: not removed, the user not switched off, the account not closed."""
        return self.filter(
            removed_at__isnull=True, user__is_active=True, account__closed_at__isnull=True
        )

    def of(self, user: User) -> MembershipQuerySet:
        """The user's present memberships with their accounts, oldest first."""
        return self.present().filter(user=user).select_related("account").order_by("pk")


class Membership(models.Model):
    """What a user is in an account. A removed member's row stays: their tokens name them."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, models.PROTECT, related_name="memberships")
    role = models.PositiveSmallIntegerField(_("role"), choices=Role)
    created_at = models.DateTimeField(_("member since"), default=timezone.now, editable=False)
    removed_at = models.DateTimeField(_("removed"), null=True, blank=True, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["account", "user"], name="membership_once_per_account"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.account}"

    @property
    def is_removed(self) -> bool:
        return self.removed_at is not None

    @property
    def held_role(self) -> Role:
        return Role(self.role)

    @property
    def is_administrator(self) -> bool:
        return self.held_role is Role.ADMINISTRATORS


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def update(self, **_changes: Any) -> int:
        raise TypeError("Audit events cannot be changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events cannot be deleted.")


class AuditEvent(models.Model):
    """Who did what, through which token, from where, when. Written once, never edited.

    `kind` is a stable dotted code ("token.issued"); `subject` names what it was done to, by model
    and key; `details` holds facts, never a secret.
    """

    at = models.DateTimeField(_("time"))
    kind = models.CharField(_("event"), max_length=64)
    account = models.ForeignKey(
        Account, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("account")
    )
    user = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    through_token = models.BigIntegerField(_("through API token"), null=True, blank=True)
    through = models.CharField(_("through"), max_length=16)
    address = models.GenericIPAddressField(_("from"), null=True, blank=True)
    subject_type = models.CharField(max_length=32, blank=True)
    subject_id = models.BigIntegerField(null=True, blank=True)
    details = models.JSONField(_("details"), default=dict, blank=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        indexes = [
            models.Index(fields=["-at"], name="audit_by_time"),
            models.Index(fields=["account", "-at"], name="audit_by_account"),
            models.Index(fields=["user", "-at"], name="audit_by_user"),
            models.Index(fields=["subject_type", "subject_id", "-at"], name="audit_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("Audit events cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events cannot be deleted.")
