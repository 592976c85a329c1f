"""Accounts, and the memberships of users in them."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.user import User
from accounts.roles import Role
from accounts.text.fields import WrittenField
from accounts.validators import validate_name

TOKEN_LIMIT_DEFAULT = 50
TOKEN_LIMIT_HIGHEST = 100_000
"""What the portal is tested for: docs/operations/limits.md."""

_HIGHEST_OF_FORMER_COLUMN = 10_000
"""What releases before 0.2.0 accept, and their column can hold."""


class Account(models.Model):
    """A tenant (the API calls it *client*)."""

    name = WrittenField(_("company name"), max_length=150, validators=[validate_name])
    token_limit = models.PositiveSmallIntegerField(
        _("token limit"),
        default=TOKEN_LIMIT_DEFAULT,
        validators=[MinValueValidator(0), MaxValueValidator(_HIGHEST_OF_FORMER_COLUMN)],
        help_text=_("Maximum number of active API tokens in the account."),
    )
    # Set for limits that the column above cannot hold, which then is at its highest. Processes of
    # the release before know that one alone: what they set lower holds.
    raised_token_limit = models.IntegerField(
        null=True, blank=True, editable=False, validators=[MaxValueValidator(TOKEN_LIMIT_HIGHEST)]
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    closed_at = models.DateTimeField(
        _("closed"),
        null=True,
        blank=True,
        help_text=_(
            "While this is set, no one can use the account, and its API tokens are rejected."
        ),
    )

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")

    def __str__(self) -> str:
        return self.name

    @property
    def most_tokens(self) -> int:
        """How many active API tokens the account may have."""
        if self.raised_token_limit is None or self.token_limit < _HIGHEST_OF_FORMER_COLUMN:
            return self.token_limit
        return self.raised_token_limit

    @most_tokens.setter
    def most_tokens(self, limit: int) -> None:
        self.token_limit = min(limit, _HIGHEST_OF_FORMER_COLUMN)
        self.raised_token_limit = limit if limit > _HIGHEST_OF_FORMER_COLUMN else None


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Memberships of people, or of service accounts too: see the managers of `Membership`."""

    def present(self) -> MembershipQuerySet:
        """Memberships that may act: not removed, of an active user, in an open account."""
        return self.filter(
            removed_at__isnull=True, user__is_active=True, account__closed_at__isnull=True
        )

    def of(self, user: User) -> MembershipQuerySet:
        """The user's present memberships with their accounts, oldest first."""
        return self.present().filter(user=user).select_related("account").order_by("pk")


class PeopleManager(models.Manager["Membership"]):
    """The memberships of people. Whatever lists, invites, tells or signs in members means these."""

    def get_queryset(self) -> MembershipQuerySet:
        found = MembershipQuerySet(self.model, using=self._db)
        # Few rows, kept at the membership. Asking its user would join a hundred thousand of them.
        services = self.model._meta.apps.get_model("accounts", "ServiceAccount")._base_manager
        return found.filter(~Exists(services.filter(membership=OuterRef("pk"))))

    def present(self) -> MembershipQuerySet:
        """Those that may act, as `MembershipQuerySet.present` finds them."""
        return self.get_queryset().present()

    def of(self, user: User) -> MembershipQuerySet:
        """The user's present ones, as `MembershipQuerySet.of` finds them."""
        return self.get_queryset().of(user)


class Membership(models.Model):
    """The role of a user in an account. A removed member's row stays: their tokens name it.

    A service account has one too, which makes it an issuer like any other.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, models.PROTECT, related_name="memberships")
    role = models.PositiveSmallIntegerField(_("role"), choices=Role)
    created_at = models.DateTimeField(_("member since"), default=timezone.now, editable=False)
    removed_at = models.DateTimeField(_("removed"), null=True, blank=True, editable=False)
    sso_at = models.DateTimeField(_("last single sign-on"), null=True, blank=True, editable=False)
    """The last sign-in through the account's identity provider; None if there was none."""
    tokens_suspended_at = models.DateTimeField(
        _("API tokens suspended"), null=True, blank=True, editable=False
    )
    """Set while the member's API tokens are refused because of inactivity at the provider."""

    objects = PeopleManager()
    everyone = MembershipQuerySet.as_manager()
    """People and service accounts: all that can be the issuer of a token."""

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
        indexes = [
            # Which tokens are suspended is asked by every list of them; these are few.
            models.Index(
                fields=["account"],
                condition=Q(tokens_suspended_at__isnull=False),
                name="membership_suspended",
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
    def is_service_account(self) -> bool:
        return self.user.is_service_account

    @property
    def uses_sso(self) -> bool:
        """True for members who have signed in through the account's identity provider."""
        return self.sso_at is not None

    @property
    def has_suspended_tokens(self) -> bool:
        """True while the member's API tokens are refused because of inactivity."""
        return self.tokens_suspended_at is not None

    @property
    def is_administrator(self) -> bool:
        return self.held_role is Role.ADMINISTRATORS
