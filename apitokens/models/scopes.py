"""Services and their scopes."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from accounts.text.fields import WrittenField
from accounts.validators import validate_line, validate_visible

LONGEST_CODE = 24
CODE = f"[a-z][a-z0-9_-]{{0,{LONGEST_CODE - 1}}}"
"""A regular expression of a code."""


def validate_code(text: str) -> None:
    """Refuse what is no code of a service or a scope: it stands in addresses and headers."""
    if not re.fullmatch(CODE, text):
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


class ServiceQuerySet(models.QuerySet["Service"]):
    def known_in(self, account_id: int) -> ServiceQuerySet:
        """The account's own, and those that operators have registered for all accounts."""
        found = self.filter(Q(account=account_id) | Q(account=None))
        return found.prefetch_related("scopes").order_by("code", "pk")

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
