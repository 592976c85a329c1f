"""What lists of the operators' pages can be narrowed to."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, AuditEvent, Membership
from accounts.text import parse_id

ACCOUNTS_TO_CHOOSE_FROM = 50
EVENTS_TO_LEARN_KINDS_FROM = 10_000


class AccountFilter(admin.SimpleListFilter):
    """Accounts by name: no more than one can read, and always the one that was asked for."""

    title = _("account")
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        named = list(Account.objects.order_by("name", "pk")[:ACCOUNTS_TO_CHOOSE_FROM])
        if self.value():
            known = [account.pk for account in named]
            named += Account.objects.filter(pk=self._asked()).exclude(pk__in=known)
        return [(str(account.pk), account.name) for account in named]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(account=self._asked()) if self.value() else queryset

    def _asked(self) -> int:
        """The id of the account; 0, which nobody has, for anything else that stands there."""
        return parse_id(self.value() or "") or 0


class ClosedFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("open", _("Open")), ("closed", _("Closed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        if self.value() not in ("open", "closed"):
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


class RemovedFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("present", _("Present")), ("removed", _("Removed"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Membership]
    ) -> QuerySet[Membership]:
        if self.value() not in ("present", "removed"):
            return queryset
        return queryset.filter(removed_at__isnull=self.value() == "present")


class KindFilter(admin.SimpleListFilter):
    """Kinds of events, as the latest ones show them: a whole log takes too long to ask."""

    title = _("event")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = AuditEvent.objects.order_by("-pk").values("pk")[:EVENTS_TO_LEARN_KINDS_FROM]
        kinds = AuditEvent.objects.filter(pk__in=latest).values_list("kind", flat=True)
        return [(kind, kind) for kind in kinds.distinct().order_by("kind")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        return queryset.filter(kind=self.value()) if self.value() else queryset
