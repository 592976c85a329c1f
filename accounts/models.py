"""People, accounts, and what a person is in an account."""

from __future__ import annotations

import secrets
import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.emails import normal_email
from accounts.ids import draw_id
from accounts.languages import catalogue_for
from accounts.roles import Role
from accounts.text import validate_line, validate_phone

if TYPE_CHECKING:
    from accounts.actors import Actor

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
        user = self.model(email=normal_email(email), **facts)
        while self.filter(pk=user.pk).exists():
            user.pk = draw_id()
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

    # Drawn: an invitation answers the user's id, and a counted one would tell whether the address
    # was known before.
    id = models.BigIntegerField("ID", primary_key=True, default=draw_id, editable=False)
    email = models.EmailField(
        _("e-mail"),
        unique=True,
        error_messages={"unique": _("There is a user with this e-mail already.")},
    )
    name = models.CharField(_("name"), max_length=150, blank=True, validators=[validate_line])
    phone = models.CharField(_("phone"), max_length=32, blank=True, validators=[validate_phone])
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
        return full_name(self.name, self.email)


def full_name(name: str, email: str) -> str:
    """What to call a person of whom only this is known."""
    return name or email


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
    sso_at = models.DateTimeField(_("last single sign-on"), null=True, blank=True, editable=False)
    """When the member last came through the account's identity provider; None: they never did."""
    tokens_suspended_at = models.DateTimeField(
        _("API tokens suspended"), null=True, blank=True, editable=False
    )
    """Set while the member's API tokens are refused because they stayed away from the provider."""

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["account", "user"], name="membership_once_per_account"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="membership_role_known"
            ),
            models.CheckConstraint(
                condition=Q(tokens_suspended_at__isnull=True) | Q(sso_at__isnull=False),
                name="membership_suspended_after_sso",
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
    def uses_sso(self) -> bool:
        """True for whoever has come through the account's identity provider."""
        return self.sso_at is not None

    @property
    def has_suspended_tokens(self) -> bool:
        """True while the API tokens of the member are refused, because they stayed away."""
        return self.tokens_suspended_at is not None

    @property
    def is_administrator(self) -> bool:
        return self.held_role is Role.ADMINISTRATORS


def draw_nonce() -> str:
    """What makes the link of one sending different from all others."""
    return secrets.token_hex(16)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Neither accepted nor withdrawn; late ones are among them."""
        return self.filter(accepted_at__isnull=True, withdrawn_at__isnull=True)


class Invitation(models.Model):
    """An address was asked to join an account with a role. The person behind it exists already.

    The link in the mail is signed over id and nonce, so nothing secret is kept, and the mail can be
    written at any time. Each sending draws another nonce: older links die.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="invitations")
    user = models.ForeignKey(User, models.PROTECT, related_name="invitations")
    email = models.EmailField(_("e-mail"))
    name = models.CharField(_("name"), max_length=150, blank=True, validators=[validate_line])
    """As the inviter wrote it; somebody who is known keeps the name they have."""
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
        """True from the instant on at which the link is good no more."""
        return self.expires_at <= at


class TokenFamilyQuerySet(models.QuerySet["TokenFamily"]):
    def live(self, at: datetime) -> TokenFamilyQuerySet:
        """Those that still count: not ended, nor too old for any token of them to be good."""
        return self.filter(ended_at__isnull=True, expires_at__gt=at)


class TokenFamily(models.Model):
    """All short-lived tokens (JWT) for one account that follow from one sign-in through the API.

    Only the newest refresh token is good, and once. `expires_at` is its end, and moves with it.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="token_families")
    membership = models.ForeignKey(Membership, models.PROTECT, related_name="token_families")
    created_at = models.DateTimeField(_("created"))
    """When the person signed in; refreshing, and changing to another account, make it no later."""
    expires_at = models.DateTimeField(_("expires"))
    current_refresh = models.UUIDField(default=uuid4, editable=False)
    """The `jti` of the refresh token that is good."""
    sign_in = models.UUIDField(default=uuid4, editable=False, db_index=True)
    """Shared by all families that one sign-in led to: one for each account that was chosen."""
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    ended_why = models.CharField(_("why it ended"), max_length=32, blank=True)
    """A stable code: reused, password, deactivated, removed, left …"""
    address = models.GenericIPAddressField(_("from"), null=True, blank=True)

    objects = TokenFamilyQuerySet.as_manager()

    class Meta:
        verbose_name = _("token family")
        verbose_name_plural = _("token families")
        indexes = [
            models.Index(fields=["expires_at"], name="token_family_to_forget"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Events are written once. What goes around these refusals meets the database's own."""

    def visible_to(self, actor: Actor) -> AuditEventQuerySet:
        """For Administrators all of the account, and what happened to its people outside of any
        account (sign-ins) while they belonged to it; for others what they did in it, and what
        happened to themselves.
        """
        member = actor.membership
        if member is None:
            return self.none()
        if actor.is_administrator_of(member.account_id):
            return self.filter(
                Q(account=member.account_id)
                | Q(
                    Exists(_people_of(member.account_id)),
                    account__isnull=True,
                    subject_type="user",
                    subject_id__in=list(
                        Membership.objects.filter(account=member.account_id).values_list(
                            "user_id", flat=True
                        )
                    ),
                )
            )
        return self.filter(
            Q(account=member.account_id) | Q(account__isnull=True),
            Q(user=member.user_id)
            | Q(subject_type="user", subject_id=member.user_id)
            | Q(subject_type="membership", subject_id=member.pk),
        )

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
        base_manager_name = "objects"
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


class AuditPruning(models.Model):
    """While a row is there, events older than `before` may go; the database's trigger asks for it.

    It lives and dies inside one transaction of `accounts.pruning`, so nobody else ever sees one.
    """

    before = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.before:%Y-%m-%d %H:%M:%S}"


def _people_of(account_id: int) -> MembershipQuerySet:
    """Memberships of the account that the user of an event (outside) had when it happened."""
    return Membership.objects.filter(
        Q(removed_at__isnull=True) | Q(removed_at__gte=OuterRef("at")),
        account=account_id,
        user=OuterRef("subject_id"),
        created_at__lte=OuterRef("at"),
    )
