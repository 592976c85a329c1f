"""API tokens: what is true of them, and the questions people ask about many of them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.authorization.actor import Actor
from accounts.http.client_ip import network_of
from accounts.models import Account, Membership, ServiceAccount
from accounts.random_ids import draw_id
from accounts.roles import Role
from accounts.text.fields import WrittenField
from accounts.validators import validate_line, validate_paragraphs, validate_visible
from apitokens import keys
from notifications.kinds import Channel
from notifications.models import Mail

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


LONGEST_CODE = 24
_CODE = re.compile(f"[a-z][a-z0-9_-]{{0,{LONGEST_CODE - 1}}}")


def validate_code(text: str) -> None:
    """Refuse what is no code of a service or a scope: it stands in addresses and headers."""
    if not _CODE.fullmatch(text):
        raise ValidationError(
            _(
                "Use lowercase letters a to z, digits, - and _, beginning with a letter, and at "
                "most %(most)d characters."
            ),
            code="invalid",
            params={"most": LONGEST_CODE},
        )


def translated(name: str, names: dict[str, str]) -> str:
    """The name in the reader's language; without one in it, the name that everything has."""
    language = get_language() or ""
    return names.get(language) or names.get(language.partition("-")[0]) or name


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
    account = models.ForeignKey(Account, models.PROTECT, related_name="api_tokens")
    issuer = models.ForeignKey(
        Membership, models.PROTECT, related_name="api_tokens", verbose_name=_("issued by")
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


class PepperCheck(models.Model):
    """A value by which the database knows a pepper that it does not have. Numbers are never used
    again, so that a row stays when its pepper retires. Row 0, which no pepper has, is the
    `SECRET_KEY` of the process that has started last."""

    SECRET_KEY = 0

    number = models.PositiveSmallIntegerField(primary_key=True)
    check_value = models.BinaryField(max_length=keys.DIGEST_BYTES, editable=False)
    first_seen_at = models.DateTimeField(_("first seen"))

    class Meta:
        verbose_name = "pepper"
        verbose_name_plural = "peppers"

    def __str__(self) -> str:
        return f"pepper {self.number}"


class VerifyingHost(models.Model):
    """A host (processes that share a data folder) that answers from memory; see
    `apitokens.cache.hosts`, which alone writes and reads this, on PostgreSQL."""

    id = models.BigIntegerField(primary_key=True)
    seen_at = models.DateTimeField()
    lease = models.FloatField()
    """Seconds, at the longest, for which it believes what it has read."""

    class Meta:
        verbose_name = "verifying host"
        verbose_name_plural = "verifying hosts"

    def __str__(self) -> str:
        return f"host {self.pk}"


class ExpiryNotice(models.Model):
    """The ledger: this person is told, by this channel, that this token expires then. Each once."""

    token = models.ForeignKey(APIToken, models.CASCADE, related_name="expiry_notices")
    expires_at = models.DateTimeField(_("expiration"))
    days = models.PositiveSmallIntegerField(_("days before"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    channel = models.CharField(_("channel"), max_length=8, choices=Channel)
    mail = models.ForeignKey(
        Mail, models.CASCADE, null=True, related_name="+", verbose_name=_("email")
    )
    created_at = models.DateTimeField(_("decided"))

    class Meta:
        verbose_name = _("expiry notification")
        verbose_name_plural = _("expiry notifications")
        constraints = [
            models.UniqueConstraint(
                fields=["token", "expires_at", "days", "user", "channel"],
                name="expiry_notice_once",
            ),
            models.CheckConstraint(
                condition=~Q(channel=Channel.EMAIL) | Q(mail__isnull=False),
                name="expiry_notice_by_email_has_mail",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.days} days, {self.channel} to {self.user_id}"


class TokenAddress(models.Model):
    """A place that a token was used from, in the last 90 days; the latest of each token. Of an IPv6
    network only the first address is kept."""

    token = models.ForeignKey(APIToken, models.CASCADE, related_name="addresses")
    address = models.GenericIPAddressField(_("address"))
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("usage address")
        verbose_name_plural = _("usage addresses")
        constraints = [
            models.UniqueConstraint(fields=["token", "address"], name="token_address_once")
        ]
        indexes = [models.Index(fields=["last_seen_at"], name="token_address_to_forget")]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.address}"

    @property
    def place(self) -> str:
        """The address, or the IPv6 network in which all addresses count as this one."""
        return network_of(self.address)


class TokenUseDay(models.Model):
    """How often a token was used on one day, which begins and ends in UTC; and how often it was
    presented with the right secret and refused."""

    token = models.ForeignKey(APIToken, models.CASCADE, related_name="use_days")
    day = models.DateField(_("day"))
    count = models.PositiveBigIntegerField(_("uses"))
    # No positive one: its check would read the whole table while it is locked.
    refused = models.BigIntegerField(_("rejected uses"), default=0, db_default=0)

    class Meta:
        verbose_name = _("usage day")
        verbose_name_plural = _("usage days")
        constraints = [models.UniqueConstraint(fields=["token", "day"], name="token_use_day_once")]
        indexes = [models.Index(fields=["day"], name="token_use_day_to_forget")]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.count} on {self.day}"


class TokenUseSum(models.Model):
    """How often a token was used on all days that are kept: by it those used most are found."""

    token = models.OneToOneField(
        APIToken, models.CASCADE, primary_key=True, related_name="+", db_index=False
    )
    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    count = models.BigIntegerField(_("uses"))

    class Meta:
        verbose_name = "sum of uses"
        verbose_name_plural = "sums of uses"
        indexes = [models.Index(fields=["account", "-count", "token"], name="token_used_most")]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.count}"


class AccountUseDay(models.Model):
    """How often the tokens of an account were used on one day, and how often refused: the sums of
    `TokenUseDay`, kept with it."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    day = models.DateField(_("day"))
    count = models.BigIntegerField(_("uses"))
    refused = models.BigIntegerField(_("rejected uses"))

    class Meta:
        verbose_name = "usage day of an account"
        verbose_name_plural = "usage days of accounts"
        constraints = [
            models.UniqueConstraint(fields=["account", "day"], name="account_use_day_once")
        ]

    def __str__(self) -> str:
        return f"account {self.account_id}: {self.count} on {self.day}"


class ServiceQuerySet(models.QuerySet["Service"]):
    def known_in(self, account_id: int) -> ServiceQuerySet:
        """The account's own, and those that operators have registered for all accounts."""
        found = self.filter(Q(account=account_id) | Q(account=None))
        return found.prefetch_related("scopes").order_by("code")

    def of(self, account_id: int) -> ServiceQuerySet:
        """Those that the account's Administrators manage."""
        return self.filter(account=account_id).prefetch_related("scopes").order_by("code")


class Service(models.Model):
    """A system that tokens are used at, and whose scopes they may be limited to."""

    account = models.ForeignKey(
        Account,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="services",
        verbose_name=_("account"),
        help_text=_("Leave it empty to offer the service in all accounts."),
    )
    code = models.CharField(_("code"), max_length=LONGEST_CODE, validators=[validate_code])
    name = WrittenField(_("name"), max_length=100, validators=[validate_line, validate_visible])
    names = models.JSONField(_("name in other languages"), default=dict, blank=True)
    created_at = models.DateTimeField(_("registered"))

    objects = ServiceQuerySet.as_manager()

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")
        constraints = [
            models.UniqueConstraint(fields=["account", "code"], name="service_once_in_account"),
            models.UniqueConstraint(
                fields=["code"], condition=Q(account__isnull=True), name="service_once_for_all"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def label(self) -> str:
        """Its name in the reader's language."""
        return translated(self.name, self.names)


class Scope(models.Model):
    """What a service lets a token do."""

    service = models.ForeignKey(Service, models.CASCADE, related_name="scopes")
    code = models.CharField(_("code"), max_length=LONGEST_CODE, validators=[validate_code])
    name = WrittenField(_("name"), max_length=100, validators=[validate_line, validate_visible])
    names = models.JSONField(_("name in other languages"), default=dict, blank=True)

    class Meta:
        verbose_name = _("scope")
        verbose_name_plural = _("scopes")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["service", "code"], name="scope_once_in_service")
        ]

    def __str__(self) -> str:
        return f"{self.service.code}:{self.code}"

    @property
    def label(self) -> str:
        """Its name in the reader's language."""
        return translated(self.name, self.names)


class VerifierKey(models.Model):
    """A key by which another system may ask what a token is good for. Stored as tokens are."""

    id = models.BigIntegerField("ID", primary_key=True, default=draw_id, editable=False)
    name = WrittenField(
        _("name"),
        max_length=255,
        validators=[validate_line, validate_visible],
        help_text=_("The system that will use the key, for example: video storage."),
    )
    service = models.ForeignKey(
        Service,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="verifier_keys",
        verbose_name=_("service"),
        help_text=_(
            "With a service, the key sees only tokens that can be used at it, and only its scopes."
        ),
    )
    digest = models.BinaryField(max_length=keys.DIGEST_BYTES, null=True, editable=False)
    pepper = models.PositiveSmallIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"))
    last_used_at = models.DateTimeField(_("last usage"), null=True, blank=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("verifier key")
        verbose_name_plural = _("verifier keys")
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__isnull=False, pepper__isnull=False)
                | Q(digest__isnull=True, pepper__isnull=True, deleted_at__isnull=False),
                name="verifier_digest_until_deleted",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class Density(models.TextChoices):
    """How much room a row of the list takes."""

    COMFORTABLE = "comfortable", _("Comfortable")
    COMPACT = "compact", _("Compact")


class ListPreferences(models.Model):
    """How a person likes the list of tokens, in all their accounts. Who has chosen nothing has no
    row."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    columns = models.CharField(
        max_length=255, blank=True, help_text="Keys of the columns, with commas between them."
    )
    density = models.CharField(max_length=16, choices=Density, default=Density.COMFORTABLE)

    class Meta:
        verbose_name = "preferences of the list"
        verbose_name_plural = "preferences of the list"

    def __str__(self) -> str:
        return f"{self.user_id}: {self.columns}, {self.density}"
