"""Service accounts: issuers of tokens that are no person."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models.account import Account, Membership
from accounts.roles import Role
from accounts.text.fields import WrittenField
from accounts.validators import validate_paragraphs


class ContactStatus(StrEnum):
    """What the owner of a contact address has said: the words of the API."""

    NONE = ""
    """There is no contact address."""
    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"


class ServiceAccountQuerySet(models.QuerySet["ServiceAccount"]):
    def of(self, account_id: int) -> ServiceAccountQuerySet:
        """Those of the account that were not removed, oldest first."""
        found = self.filter(membership__account=account_id, membership__removed_at=None)
        return found.select_related("membership__user", "membership__account").order_by("pk")

    def naming(self, membership: Membership) -> ServiceAccountQuerySet:
        """Those of the member's account that name the member as one who may issue for them."""
        return self.of(membership.account_id).filter(issuers=membership)


class ServiceAccount(models.Model):
    """What is known of a service account beside its membership, which is the issuer of its tokens:
    that has its role and its account, and the user behind it its name and whether it is on."""

    membership = models.OneToOneField(
        Membership, models.PROTECT, primary_key=True, related_name="service_account"
    )
    description = WrittenField(
        _("description"), max_length=2000, blank=True, validators=[validate_paragraphs]
    )
    contact = models.ForeignKey(
        Membership,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="contact_of",
        verbose_name=_("contact"),
    )
    contact_email = models.EmailField(_("contact address"), blank=True, default="", db_default="")
    confirmed_email = models.EmailField(blank=True, default="", db_default="", editable=False)
    """The contact address, once its owner has agreed; another one has not agreed to anything."""
    declined_email = models.EmailField(blank=True, default="", db_default="", editable=False)
    contact_number = models.IntegerField(default=0, db_default=0, editable=False)
    """How often an address was asked, or has answered: a link is good for one number."""
    issuers = models.ManyToManyField(
        Membership, related_name="may_issue_for", verbose_name=_("may issue tokens for it")
    )
    """The members who may issue and manage its tokens, in addition to Administrators."""

    objects = ServiceAccountQuerySet.as_manager()

    class Meta:
        verbose_name = _("service account")
        verbose_name_plural = _("service accounts")
        constraints = [
            models.CheckConstraint(
                condition=Q(contact__isnull=True) | Q(contact_email=""),
                name="service_account_one_contact",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return self.membership.user.name

    @property
    def account(self) -> Account:
        return self.membership.account

    @property
    def held_role(self) -> Role:
        return self.membership.held_role

    @property
    def contact_status(self) -> ContactStatus:
        """Whether the contact address has agreed to get notices."""
        match self.contact_email:
            case "":
                return ContactStatus.NONE
            case self.confirmed_email:
                return ContactStatus.CONFIRMED
            case self.declined_email:
                return ContactStatus.DECLINED
        return ContactStatus.PENDING

    @property
    def notices_go_to(self) -> str:
        """The contact address, if it has agreed; else ""."""
        return self.contact_email if self.contact_status is ContactStatus.CONFIRMED else ""

    @property
    def is_on(self) -> bool:
        """False while it is switched off: its tokens are refused, and work again afterwards."""
        return self.membership.user.is_active
