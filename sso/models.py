"""An account's identity provider, the domains it speaks for, and what it has said already."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, Membership, User
from accounts.roles import Role
from accounts.validators import validate_line

IDLE_DAYS_HIGHEST = 365


def draw_slug() -> str:
    """What stands for a connection in addresses: it tells nothing about the account."""
    return secrets.token_hex(8)


class IdleAction(models.TextChoices):
    """What becomes of the API tokens of people who have not come through the provider for long."""

    NOTHING = "nothing", _("Nothing")
    NOTIFY = "notify", _("Notify the Administrators")
    SUSPEND = "suspend", _("Suspend their API tokens")


class Connection(models.Model):
    """An account trusts one SAML 2.0 identity provider. It lets nobody in until it is switched on,
    and then only people of its account, or of its approved domains."""

    account = models.OneToOneField(Account, models.PROTECT, related_name="connection")
    slug = models.CharField(max_length=16, unique=True, default=draw_slug, editable=False)
    name = models.CharField(_("name"), max_length=150, validators=[validate_line])
    # Empty until the provider is described: it has to know our addresses first, perhaps.
    entity_id = models.CharField(_("entity ID of the provider"), max_length=1024, blank=True)
    sso_url = models.URLField(_("address for signing in"), max_length=1024, blank=True)
    slo_url = models.URLField(_("address for signing out"), max_length=1024, blank=True)
    email_attribute = models.CharField(_("attribute for the e-mail"), max_length=255, blank=True)
    """Empty: the NameID, if its format says that it is an address."""
    name_attribute = models.CharField(_("attribute for the name"), max_length=255, blank=True)
    role_attribute = models.CharField(_("attribute for the role"), max_length=255, blank=True)
    """Empty: everybody new gets the default role. Read at the first arrival only."""
    takes_new_people = models.BooleanField(_("takes new people"), default=False)
    default_role = models.PositiveSmallIntegerField(
        _("role of new people"), choices=Role, default=Role.USERS
    )
    may_make_administrators = models.BooleanField(
        _("may make Administrators"),
        default=False,
        help_text=_("Without it nobody new becomes an Administrator, whatever the provider says."),
    )
    is_on = models.BooleanField(_("switched on"), default=False)
    is_forced = models.BooleanField(_("forced"), default=False)
    """Whether members of its domains can sign in through the provider only."""
    tested_at = models.DateTimeField(_("tested"), null=True, blank=True, editable=False)
    """When a test with the provider as it stands here last went well."""
    signs_messages = models.BooleanField(default=False, editable=False)
    """Whether it did in that test, beside the assertion: then it always has to."""
    idle_days = models.PositiveSmallIntegerField(
        _("days"),
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(IDLE_DAYS_HIGHEST)],
    )
    idle_action = models.CharField(max_length=16, choices=IdleAction, default=IdleAction.NOTHING)
    idle_action_since = models.DateTimeField(null=True, blank=True, editable=False)
    """When the account chose it: nobody has been away for longer than that."""
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("single sign-on")
        verbose_name_plural = _("single sign-on")
        constraints = [
            models.CheckConstraint(
                condition=Q(default_role__in=Role.values), name="connection_role_known"
            ),
            models.CheckConstraint(
                condition=Q(is_on=True) | Q(is_forced=False), name="connection_forced_if_on"
            ),
            models.CheckConstraint(
                condition=Q(is_on=False) | Q(tested_at__isnull=False),
                name="connection_on_if_tested",
            ),
            models.CheckConstraint(
                condition=Q(tested_at__isnull=True) | ~Q(entity_id="") & ~Q(sso_url=""),
                name="connection_tested_if_described",
            ),
            models.CheckConstraint(
                condition=Q(may_make_administrators=True) | ~Q(default_role=Role.ADMINISTRATORS),
                name="connection_administrators_if_chosen",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} · {self.account}"

    @property
    def provider_id(self) -> str:
        """What separates its subjects from those of all other accounts' providers."""
        return f"saml:{self.account_id}"

    @property
    def is_described(self) -> bool:
        """True once it is known who the provider is."""
        return bool(self.entity_id)

    @property
    def given_role(self) -> Role:
        return Role(self.default_role)


class CertificateQuerySet(models.QuerySet["Certificate"]):
    def good(self, at: datetime) -> CertificateQuerySet:
        """Those whose signatures count."""
        return self.filter(not_before__lte=at, not_after__gt=at)


class Certificate(models.Model):
    """What the provider signs with. Two at once are how one follows another."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="certificates")
    pem = models.TextField()
    fingerprint = models.CharField(_("SHA-256 fingerprint"), max_length=64)
    """In lower-case hexadecimal digits."""
    not_before = models.DateTimeField(_("valid from"))
    not_after = models.DateTimeField(_("valid until"))
    added_at = models.DateTimeField(_("added"))
    warned_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When the Administrators were told that it ends soon."""

    objects = CertificateQuerySet.as_manager()

    class Meta:
        verbose_name = _("certificate")
        verbose_name_plural = _("certificates")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "fingerprint"], name="certificate_once_per_connection"
            ),
        ]

    def __str__(self) -> str:
        return self.fingerprint


class DomainQuerySet(models.QuerySet["Domain"]):
    def in_force(self) -> DomainQuerySet:
        """Approved ones, whose connection is switched on."""
        return self.filter(
            approved_at__isnull=False,
            connection__is_on=True,
            connection__account__closed_at__isnull=True,
        )


class Domain(models.Model):
    """A domain of e-mail addresses that an account asks for. An operator approves it, or not."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="domains")
    name = models.CharField(_("domain"), max_length=253)
    """In lower case, in the ASCII form of IDNA."""
    asked_at = models.DateTimeField(_("asked for"))
    asked_by = models.ForeignKey(
        Membership, models.PROTECT, related_name="+", verbose_name=_("asked for by")
    )
    approved_at = models.DateTimeField(_("approved"), null=True, blank=True)
    approved_by = models.ForeignKey(
        User,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("approved by"),
    )
    refused_at = models.DateTimeField(_("refused"), null=True, blank=True)

    objects = DomainQuerySet.as_manager()

    class Meta:
        verbose_name = _("e-mail domain")
        verbose_name_plural = _("e-mail domains")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "name"], name="domain_once_per_connection"
            ),
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(approved_at__isnull=False),
                name="domain_approved_once",
            ),
            models.CheckConstraint(
                condition=Q(approved_at__isnull=True) | Q(refused_at__isnull=True),
                name="domain_one_answer",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_approved(self) -> bool:
        return self.approved_at is not None


class Subject(models.Model):
    """A member is known to the account's provider by this name, and no other.

    The row goes when the member is removed or the connection gets another provider.
    """

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="subjects")
    name_id = models.CharField(max_length=255)
    membership = models.OneToOneField(Membership, models.PROTECT, related_name="subject")
    linked_at = models.DateTimeField(_("linked"))

    class Meta:
        verbose_name = _("subject")
        verbose_name_plural = _("subjects")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "name_id"], name="subject_once_per_connection"
            ),
        ]

    def __str__(self) -> str:
        return self.name_id


class AbsenceNotice(models.Model):
    """The Administrators were told that this member stays away. Told before the last arrival, or
    before the account chose its policy, it tells of another absence."""

    membership = models.OneToOneField(Membership, models.CASCADE, related_name="+")
    told_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.membership_id}: {self.told_at:%Y-%m-%d %H:%M:%S}"


class UsedAssertion(models.Model):
    """An assertion that has let somebody in. It does so once; the row stays until it is too old to
    be believed anyway."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+")
    assertion_id = models.CharField(max_length=255)
    forget_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "assertion_id"], name="assertion_used_once"
            ),
        ]

    def __str__(self) -> str:
        return self.assertion_id

    objects: ClassVar[models.Manager[UsedAssertion]] = models.Manager()
