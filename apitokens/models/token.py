"""API tokens and their former secrets: what is true of them, and the questions people ask about
many of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.authorization.actor import Actor
from accounts.models import Account, Membership, ServiceAccount
from accounts.random_ids import draw_id
from accounts.roles import Role
from accounts.text.fields import WrittenField
from accounts.validators import validate_line, validate_paragraphs, validate_visible
from apitokens import keys

EXPIRES_SOON = timedelta(days=7)


class Status(models.TextChoices):
    """What a token is at one moment. A suspended one counts as active wherever that means "neither
    deleted nor expired": for the limit, and in the API."""

    ACTIVE = "active", _("Active")
    SUSPENDED = "suspended", _("Suspended")
    EXPIRED = "expired", _("Expired")
    DELETED = "deleted", _("Deleted")


def status_at(
    at: datetime,
    *,
    deleted_at: datetime | None,
    expires_at: datetime | None,
    is_suspended: bool,
) -> Status:
    """The status at one moment of a token with these facts."""
    if deleted_at is not None:
        return Status.DELETED
    if expires_at is not None and expires_at <= at:
        return Status.EXPIRED
    return Status.SUSPENDED if is_suspended else Status.ACTIVE


class APITokenQuerySet(models.QuerySet["APIToken"]):
    def visible_to(self, actor: Actor) -> APITokenQuerySet:
        """All of the account for its Administrators; for others those they issued themselves, and
        those of service accounts that name them."""
        if actor.membership is None:
            return self.none()
        if actor.is_administrator_of(actor.membership.account_id):
            return self.filter(account_id=actor.membership.account_id)
        return self.filter(issuer__in=_issuers_of(actor.membership))

    def undeleted(self) -> APITokenQuerySet:
        return self.filter(deleted_at__isnull=True)

    def active(self, at: datetime) -> APITokenQuerySet:
        """Neither deleted nor expired. These count against the account's limit."""
        return self.undeleted().filter(Q(expires_at__isnull=True) | Q(expires_at__gt=at))

    def expired(self, at: datetime) -> APITokenQuerySet:
        return self.undeleted().filter(expires_at__lte=at)

    def deleted(self) -> APITokenQuerySet:
        return self.filter(deleted_at__isnull=False)

    def expiring(self, at: datetime, *, within: timedelta = EXPIRES_SOON) -> APITokenQuerySet:
        """Active ones that expire `within` the given span after `at`."""
        return self.undeleted().filter(expires_at__gt=at, expires_at__lte=at + within)

    def suspended(self, at: datetime) -> APITokenQuerySet:
        """Active ones that are refused until their issuer comes through the identity provider."""
        return self.active(at).filter(issuer__in=_suspended_members())

    def working(self, at: datetime) -> APITokenQuerySet:
        """Active ones that are not suspended: those with the status Active."""
        return self.active(at).exclude(issuer__in=_suspended_members())

    def unused_since(self, moment: datetime) -> APITokenQuerySet:
        """Last used before the moment; or never, although they were there by then."""
        never = Q(last_used_at__isnull=True, created_at__lt=moment)
        return self.filter(never | Q(last_used_at__lt=moment))

    def with_status(self, status: str, at: datetime) -> APITokenQuerySet:
        """Those with this status; all of them for any other word."""
        match status:
            case Status.ACTIVE:
                return self.working(at)
            case Status.SUSPENDED:
                return self.suspended(at)
            case Status.EXPIRED:
                return self.expired(at)
            case Status.DELETED:
                return self.deleted()
        return self

    def for_display(self) -> APITokenQuerySet:
        """With everybody that a list of tokens names, in the same query."""
        return self.select_related("issuer__user", "deleted_by", "old_secret").defer(
            "digest", "old_secret__digest"
        )


def _issuers_of(member: Membership) -> models.QuerySet[Any, Any]:
    """The member, and the service accounts that name them. As a union it is a few rows, whose
    tokens are found by index; with an OR PostgreSQL would read all tokens."""
    own = Membership.everyone.filter(pk=member.pk).values("pk")
    return own.union(ServiceAccount.objects.naming(member).order_by().values("pk"))


def _suspended_members() -> models.QuerySet[Membership]:
    """Few: asked for once, where a join would look up the issuer of each of a hundred thousand."""
    return Membership.everyone.filter(tokens_suspended_at__isnull=False)


class APIToken(models.Model):
    """A permanent API token. Not its secret: only a digest, until 90 days after deletion."""

    id = models.BigIntegerField("ID", primary_key=True, default=draw_id, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="api_tokens", db_index=False)
    issuer = models.ForeignKey(
        Membership,
        models.PROTECT,
        db_index=False,
        related_name="api_tokens",
        verbose_name=_("issued by"),
    )
    name = WrittenField(
        _("token name"), max_length=255, validators=[validate_line, validate_visible]
    )
    description = WrittenField(
        _("description"), max_length=2000, blank=True, validators=[validate_paragraphs]
    )
    role = models.PositiveSmallIntegerField(_("role"), choices=Role)
    # With spaces between them, as they are sent and compared. Null, for a token that may do all
    # that its role allows, is another thing than none: "" allows nothing.
    scopes = models.TextField(_("scopes"), null=True, blank=True, editable=False)  # noqa: DJ001
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expiration"), null=True, blank=True)

    digest = models.BinaryField(max_length=keys.DIGEST_BYTES, null=True, editable=False)
    pepper = models.PositiveSmallIntegerField(null=True, editable=False)
    form_key = models.UUIDField(null=True, editable=False)

    last_used_at = models.DateTimeField(_("last usage"), null=True, blank=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, blank=True, editable=False)
    refusal_told_at = models.DateTimeField(null=True, editable=False)

    # The addresses and networks that it may be used from, one a line in the usual form; empty for
    # all. As text, which verification reads as it is: what is in it, is only looked at for who has
    # the secret.
    allowed_addresses = models.TextField(
        _("allowed addresses"), blank=True, default="", db_default="", editable=False
    )
    address_refusal_told_at = models.DateTimeField(null=True, editable=False)

    # How often the token was given a new secret: the number of the present one. (A field of
    # positive numbers has a check, for which all rows would be read while nobody can use the
    # table.)
    rotations = models.IntegerField(_("rotations"), default=0, db_default=0, editable=False)
    rotated_at = models.DateTimeField(_("rotated"), null=True, blank=True, editable=False)
    rotation_form_key = models.UUIDField(null=True, editable=False)

    # When the next notice of expiration falls due; kept by the services, so that looking for due
    # tokens among a million costs what is due and not what is there.
    notice_due_at = models.DateTimeField(null=True, editable=False)

    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)
    deleted_by = models.ForeignKey(
        "accounts.User",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("deleted by"),
    )

    objects = APITokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        constraints = [
            # The browser's form is good for one token: a doubled submit finds this row.
            models.UniqueConstraint(fields=["issuer", "form_key"], name="token_once_per_form"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="token_role_known"),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
                name="token_expires_after_creation",
            ),
            models.CheckConstraint(
                condition=Q(digest__isnull=False, pepper__isnull=False)
                | Q(digest__isnull=True, pepper__isnull=True, deleted_at__isnull=False),
                name="token_digest_until_deleted",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="token_newest"),
            models.Index(fields=["account", "-created_at"], name="token_by_account"),
            models.Index(fields=["issuer", "-created_at"], name="token_by_issuer"),
            models.Index(fields=["account", "issuer"], name="token_by_account_issuer"),
            models.Index(fields=["role", "id"], name="token_by_role"),
            # A hundred thousand tombstones cost the page of active tokens nothing. What decides
            # about a row is in the index: none is read to be counted, or passed over.
            models.Index(
                fields=["account", "-created_at", "-id"],
                include=["expires_at", "issuer"],
                condition=Q(deleted_at__isnull=True),
                name="token_undeleted_newest",
            ),
            models.Index(
                fields=["account", "expires_at", "id"],
                include=["issuer"],
                condition=Q(deleted_at__isnull=True),
                name="token_undeleted_soonest",
            ),
            models.Index(
                fields=["notice_due_at", "account"],
                condition=Q(deleted_at__isnull=True, notice_due_at__isnull=False),
                name="token_notice_due",
            ),
            models.Index(
                fields=["deleted_at"],
                condition=Q(digest__isnull=False, deleted_at__isnull=False),
                name="token_digest_to_forget",
            ),
            # Whether a pepper is still needed is asked each time that health is. With the digest in
            # its condition no other question takes this index for its own.
            models.Index(
                fields=["pepper"],
                condition=Q(deleted_at__isnull=True, digest__isnull=False),
                name="token_by_pepper",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"

    @property
    def held_role(self) -> Role:
        return Role(self.role)

    @property
    def address_list(self) -> list[str]:
        """The entries of the list of allowed addresses; none if there is no list."""
        return self.allowed_addresses.split()

    @property
    def held_scopes(self) -> list[str] | None:
        """The scopes that it is limited to; None if it may do all that its role allows."""
        return None if self.scopes is None else self.scopes.split()

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    def is_expired(self, at: datetime) -> bool:
        """True from the instant of expiration on, for tokens that nobody deleted."""
        return not self.is_deleted and self.expires_at is not None and self.expires_at <= at

    def expires_soon(self, at: datetime) -> bool:
        """True for an active token that has 7 days or less to live."""
        return (
            not self.is_deleted
            and self.expires_at is not None
            and at < self.expires_at <= at + EXPIRES_SOON
        )

    def is_suspended(self, at: datetime) -> bool:
        """True for an active token that is refused, because its issuer stays away."""
        return self.status(at) is Status.SUSPENDED

    def status(self, at: datetime) -> Status:
        is_over = self.is_deleted or self.is_expired(at)
        return status_at(
            at,
            deleted_at=self.deleted_at,
            expires_at=self.expires_at,
            is_suspended=not is_over and self.issuer.has_suspended_tokens,
        )

    def is_stopped(self, at: datetime) -> bool:
        """True for an active token that is refused because its issuer was deactivated."""
        issuer = self.issuer
        is_active = self.status(at) in (Status.ACTIVE, Status.SUSPENDED)
        return is_active and (issuer.is_removed or not issuer.user.is_active)

    @property
    def former_secret(self) -> OldSecret | None:
        """The secret before the present one, for as long as it is remembered."""
        return getattr(self, "old_secret", None) if self.rotations else None

    def has_working_old_secret(self, at: datetime) -> bool:
        """True while the secret before the present one is accepted, too."""
        old = self.former_secret
        return old is not None and self.status(at) is Status.ACTIVE and not old.has_ended(at)


class OldSecret(models.Model):
    """The secret that a rotated token had before, stored as the present one is. It is kept after
    its end for as long as that of a deleted token, so that its holder is told why it is refused."""

    token = models.OneToOneField(
        APIToken, models.CASCADE, primary_key=True, related_name="old_secret"
    )
    digest = models.BinaryField(max_length=keys.DIGEST_BYTES, editable=False)
    pepper = models.PositiveSmallIntegerField(editable=False)
    ends_at = models.DateTimeField(_("works until"))
    last_used_at = models.DateTimeField(_("last usage"), null=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, editable=False)

    class Meta:
        verbose_name = _("old secret")
        verbose_name_plural = _("old secrets")
        indexes = [
            models.Index(fields=["ends_at"], name="old_secret_to_forget"),
            models.Index(fields=["pepper"], name="old_secret_by_pepper"),
        ]

    def __str__(self) -> str:
        return f"old secret of {self.token_id}"

    def has_ended(self, at: datetime) -> bool:
        """True from the instant of its end on, whether or not the token itself still lives."""
        return self.ends_at <= at

    @property
    def was_used_since_rotation(self) -> bool:
        rotated_at = self.token.rotated_at
        return bool(self.last_used_at and rotated_at and self.last_used_at > rotated_at)
