"""SAML connections: provider, certificates, e-mail domains, linked members, used messages."""

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
from accounts.text.fields import WrittenField
from accounts.validators import validate_line

MAX_INACTIVITY_DAYS = 365


def random_slug() -> str:
    """A connection's identifier in URLs. Random, so that it tells nothing about the account."""
    return secrets.token_hex(8)


class InactivityAction(models.TextChoices):
    """Inactivity policy: what happens to the API tokens of members who no longer sign in by SSO."""

    NOTHING = "nothing", _("Nothing")
    NOTIFY = "notify", _("Notify the Administrators")
    SUSPEND = "suspend", _("Suspend their API tokens")


class Connection(models.Model):
    """An account's SAML 2.0 identity provider. Nobody signs in by it until it is switched on, and
    then only members of the account and people of its approved domains."""

    account = models.OneToOneField(Account, models.PROTECT, related_name="connection")
    slug = models.CharField(max_length=16, unique=True, default=random_slug, editable=False)
    name = WrittenField(_("name"), max_length=150, validators=[validate_line])
    # Empty until metadata are imported: the provider may need our addresses first.
    entity_id = models.CharField(_("entity ID of the provider"), max_length=1024, blank=True)
    sso_url = models.URLField(_("sign-in URL"), max_length=1024, blank=True)
    slo_url = models.URLField(_("sign-out URL"), max_length=1024, blank=True)
    email_attribute = models.CharField(
        _("email attribute"), max_length=255, blank=True, validators=[validate_line]
    )
    """Empty: the NameID, if its format says that it is an address."""
    name_attribute = models.CharField(
        _("name attribute"), max_length=255, blank=True, validators=[validate_line]
    )
    role_attribute = models.CharField(
        _("role attribute"), max_length=255, blank=True, validators=[validate_line]
    )
    """Empty: new members get the default role. Read at the first sign-in only."""
    takes_new_people = models.BooleanField(_("accepts new users"), default=False)
    default_role = models.PositiveSmallIntegerField(
        _("role for new users"), choices=Role, default=Role.USERS
    )
    may_make_administrators = models.BooleanField(
        _("can make new users Administrators"),
        default=False,
        help_text=_(
            "Without this, no new user becomes an Administrator, whatever the provider says."
        ),
    )
    is_on = models.BooleanField(_("turned on"), default=False)
    is_forced = models.BooleanField(_("single sign-on required"), default=False)
    """Whether members of its domains must sign in by SSO."""
    tested_at = models.DateTimeField(_("tested"), null=True, blank=True, editable=False)
    """When the last dry run with the present provider succeeded."""
    signs_messages = models.BooleanField(default=False, db_default=False, editable=False)
    """Whether the response was signed in that dry run, beside the assertion. It must be from then
    on: else an attacker could strip the signature that covers Destination and InResponseTo."""
    idle_days = models.PositiveSmallIntegerField(
        _("days"),
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_INACTIVITY_DAYS)],
    )
    idle_action = models.CharField(
        max_length=16, choices=InactivityAction, default=InactivityAction.NOTHING
    )
    idle_action_since = models.DateTimeField(null=True, blank=True, editable=False)
    """When the account chose the action. Inactivity is counted from here at the earliest."""
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
        """django-allauth's key of the provider. One per account keeps accounts' requests apart."""
        return f"saml:{self.account_id}"

    @property
    def has_provider(self) -> bool:
        """True once the provider's metadata were imported."""
        return bool(self.entity_id)

    @property
    def given_role(self) -> Role:
        return Role(self.default_role)


class CertificateQuerySet(models.QuerySet["Certificate"]):
    def valid_at(self, at: datetime) -> CertificateQuerySet:
        """Certificates whose signatures are accepted at this moment."""
        return self.filter(not_before__lte=at, not_after__gt=at)


class Certificate(models.Model):
    """A signing certificate of the provider. Several at once allow a rollover."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="certificates")
    pem = models.TextField()
    fingerprint = models.CharField(_("SHA-256 fingerprint"), max_length=64)
    """In lower-case hexadecimal digits."""
    not_before = models.DateTimeField(_("valid from"))
    not_after = models.DateTimeField(_("valid until"))
    added_at = models.DateTimeField(_("added"))
    warned_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When the Administrators were last notified that it expires."""

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
        """Approved domains of open accounts whose connection is switched on."""
        return self.filter(
            approved_at__isnull=False,
            connection__is_on=True,
            connection__account__closed_at__isnull=True,
        )


class Domain(models.Model):
    """A domain of e-mail addresses that an account claims. An operator approves or refuses it."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="domains")
    name = models.CharField(_("domain"), max_length=253)
    """In lower case, in the ASCII form of IDNA."""
    asked_at = models.DateTimeField(_("requested"))
    asked_by = models.ForeignKey(
        Membership, models.PROTECT, related_name="+", verbose_name=_("requested by")
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
    refused_at = models.DateTimeField(_("rejected"), null=True, blank=True)

    objects = DomainQuerySet.as_manager()

    class Meta:
        verbose_name = _("email domain")
        verbose_name_plural = _("email domains")
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
    """The link between a member and their NameID at the account's provider, one to one.

    Deleted when the member is removed or the connection gets another provider.
    """

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="subjects")
    name_id = models.CharField(max_length=255)
    name_id_format = models.CharField(max_length=255, blank=True, default="", db_default="")
    """Empty: unknown, or the provider named none."""
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
    """The last notice to Administrators that this member is inactive. It is outdated once the
    member has signed in by SSO, or the account has chosen its policy, after `told_at`."""

    membership = models.OneToOneField(Membership, models.CASCADE, related_name="+")
    told_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.membership_id}: {self.told_at:%Y-%m-%d %H:%M:%S}"


class UsedAssertion(models.Model):
    """The ID of a consumed assertion or logout request: replay protection (SAML 2.0 profiles,
    section 4.1.4.5). The row stays until the message has expired."""

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
