"""Users."""

from __future__ import annotations

import zoneinfo
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from accounts.email_addresses import normal_email
from accounts.languages import catalogue_for
from accounts.random_ids import DRAWN_BY_THE_DATABASE, draw_id
from accounts.text.fields import WrittenField
from accounts.text.passwords import forms_to_check, normal_password
from accounts.validators import validate_name, validate_phone


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
    """People. Service accounts are left out: whatever asks for users means people, who sign in."""

    def get_queryset(self) -> models.QuerySet[User]:
        return super().get_queryset().filter(is_service_account=False)

    def create_user(self, email: str, password: str | None = None, **facts: Any) -> User:
        """Create a user; the address is stored in lower case, because people type it both ways."""
        user = self.model(email=normal_email(email), **facts)
        user.pk = unused_id(user.pk)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **facts: Any) -> User:
        """Create an operator, who may use the Django admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **facts)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person, who signs in by e-mail and belongs to accounts by memberships; or a service
    account, which issues tokens in one account and never signs in. `User.objects` are people."""

    # Drawn: an invitation answers the user's id, and a counted one would tell whether the address
    # was known before.
    id = models.BigIntegerField(
        "ID",
        primary_key=True,
        default=draw_id,
        db_default=DRAWN_BY_THE_DATABASE,
        editable=False,
    )
    email = models.EmailField(
        _("email"),
        unique=True,
        error_messages={"unique": _("A user with this email address already exists.")},
    )
    name = WrittenField(_("name"), max_length=150, blank=True, validators=[validate_name])
    phone = models.CharField(
        _("phone"),
        max_length=32,
        blank=True,
        default="",
        db_default="",
        validators=[validate_phone],
    )
    language = models.CharField(
        _("language"), max_length=2, choices=Language, default=Language.ENGLISH
    )
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", validators=[validate_time_zone]
    )
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("While this is off, the user can't sign in and their API tokens don't work."),
    )
    is_staff = models.BooleanField(
        _("operator"), default=False, help_text=_("Can use the Django admin.")
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    is_service_account = models.BooleanField(
        _("service account"), default=False, db_default=False, editable=False
    )
    """Set once, when the row is made: nobody signs in as it, and no mail goes to its address."""

    email_change_number = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    """Counts requests and changes of the address: links are good for one number."""

    sign_in_number = models.IntegerField(default=0, db_default=0, editable=False)
    """Counts what ends sign-ins that are half done: a second factor goes on with one number."""

    objects: ClassVar[UserManager] = UserManager()
    everyone: ClassVar[models.Manager[User]] = models.Manager()
    """People and service accounts."""
    future_companies: tuple[str, ...] = ()
    """Names of accounts that a new user is about to join; not stored."""
    _has_typed_password = False

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

    @sensitive_variables()
    def set_password(self, raw_password: str | None) -> None:
        """Set the password, in the one form in which all keyboards agree."""
        super().set_password(raw_password and normal_password(raw_password))

    @sensitive_variables()
    def check_password(self, raw_password: str) -> bool:
        """True for the right password, also if it was stored as it was typed then."""
        composed, *typed = forms_to_check(raw_password)
        if super().check_password(composed):
            return True
        self._has_typed_password = bool(typed) and super().check_password(typed[0])
        return self._has_typed_password

    @sensitive_variables()
    def compose_password(self, raw_password: str) -> None:
        """Store the password composed, if the check has found that it was not. One that was
        set meanwhile stays."""
        if self._has_typed_password:
            former = self.password
            self.set_password(raw_password)
            self._password = None  # nobody has chosen another one
            User.objects.filter(pk=self.pk, password=former).update(password=self.password)

    def get_full_name(self) -> str:
        """The name of the person, or their address if they have none."""
        return full_name(self.name, self.email)


def unused_id(wanted: int) -> int:
    """The id, or another one if a user has it already."""
    while User.everyone.filter(pk=wanted).exists():
        wanted = draw_id()
    return wanted


def full_name(name: str, email: str) -> str:
    """The name to show for a person with this name and address."""
    return name or email
