"""Operators' pages: approve or refuse domains; look at connections and switch them off."""

from typing import Any

from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.admin.filters import AccountFilter, ListAdmin, is_text
from accounts.admin.members import MembershipAdmin
from accounts.admin.mixins import ReadOnlyAdminMixin, links, moment
from accounts.admin.row_actions import RowActionsMixin
from accounts.models import Account, Membership
from accounts.tenancy.decorators import operator_of
from sso.connections import domains
from sso.connections import services as connections
from sso.models import Connection, Domain
from sso.subjects import services as subjects

# allauth reads connections from our own tables. Rows of these would bypass their services.
for _model in (SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(_model)


class DomainStateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [
            ("waiting", _("Pending")),
            ("approved", _("Approved")),
            ("refused", _("Rejected")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Domain]) -> QuerySet[Domain]:
        match self.value():
            case "waiting":
                return queryset.filter(approved_at__isnull=True, refused_at__isnull=True)
            case "approved":
                return queryset.filter(approved_at__isnull=False)
            case "refused":
                return queryset.filter(refused_at__isnull=False)
        return queryset


class ConnectionAccountFilter(AccountFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(connection__account=self._account_id()) if self.value() else queryset


class ServiceActionsAdmin(ReadOnlyAdminMixin, RowActionsMixin, ListAdmin):
    """A list whose rows are changed only by services, as admin actions."""


@admin.register(Domain)
class DomainAdmin(ServiceActionsAdmin):
    """E-mail domains that accounts have requested. Before an operator approves one, they verify
    that it is the account's: its provider is then trusted for every address of it."""

    actions = ["approve", "refuse"]
    fields = ["name", "account", "asked", "asked_by", "state", "approved", "approved_by"]
    list_display = ["name", "account", "state", "asked", "asked_by"]
    list_filter = [DomainStateFilter, ConnectionAccountFilter]
    lookups = {"state": is_text, "account": is_text}
    list_select_related = ["connection__account", "asked_by__user", "asked_by__account"]
    search_fields = ["name", "connection__account__name"]
    ordering = ["-asked_at", "-pk"]

    def snapshot(self, row: Domain) -> str:
        return domains.snapshot(row)

    @admin.action(permissions=["view"], description=_("Approve the selected domains"))
    def approve(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        by, at = operator_of(request), timezone.now()
        self.call_for_each(
            request,
            queryset,
            lambda each, shown: domains.approve(domain=each, shown=shown, by=by, at=at),
        )

    @admin.action(
        permissions=["view"], description=_("Reject the selected domains or revoke their approval")
    )
    def refuse(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        by, at = operator_of(request), timezone.now()
        self.call_for_each(
            request,
            queryset,
            lambda each, shown: domains.refuse(domain=each, shown=shown, by=by, at=at),
        )

    @admin.display(description=_("account"), ordering="connection__account__name")
    def account(self, domain: Domain) -> Account:
        return domain.connection.account

    @admin.display(description=_("state"))
    def state(self, domain: Domain) -> str:
        if domain.refused_at:
            return _t("Rejected")
        return _t("Approved") if domain.is_approved else _t("Pending")

    @admin.display(description=_("requested"), ordering="asked_at")
    def asked(self, domain: Domain) -> str:
        return moment(domain.asked_at)

    @admin.display(description=_("approved"))
    def approved(self, domain: Domain) -> str:
        return moment(domain.approved_at)


@admin.register(Connection)
class ConnectionAdmin(ServiceActionsAdmin):
    """Connections of accounts. Administrators change them; operators can only switch them off."""

    actions = ["stop_forcing", "switch_off"]
    fields = [
        *("name", "account", "entity_id", "sso_url", "slo_url", "is_on", "is_forced", "tested"),
        *("takes_new_people", "default_role", "may_make_administrators", "certificates"),
        *("created", "see_also"),
    ]
    list_display = ["account", "name", "entity_id", "is_on", "is_forced", "tested"]
    list_display_links = ["account", "name"]
    list_filter = ["is_on", "is_forced", AccountFilter]
    lookups = {"is_on__exact": is_text, "is_forced__exact": is_text, "account": is_text}
    list_select_related = ["account"]
    search_fields = ["name", "account__name", "entity_id"]
    ordering = ["account__name", "pk"]

    def snapshot(self, row: Connection) -> str:
        return connections.snapshot_of_switches(row)

    @admin.action(
        permissions=["view"], description=_("Stop requiring single sign-on: passwords work again")
    )
    def stop_forcing(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        by, at = operator_of(request), timezone.now()
        self.call_for_each(
            request,
            queryset,
            lambda each, shown: connections.stop_forcing(
                connection=each, shown=shown, by=by, at=at
            ),
        )

    @admin.action(permissions=["view"], description=_("Turn off single sign-on"))
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        by, at = operator_of(request), timezone.now()
        self.call_for_each(
            request,
            queryset,
            lambda each, shown: connections.switch_off(connection=each, shown=shown, by=by, at=at),
        )

    @admin.display(description=_("tested"), ordering="tested_at")
    def tested(self, connection: Connection) -> str:
        return moment(connection.tested_at)

    @admin.display(description=_("created"))
    def created(self, connection: Connection) -> str:
        return moment(connection.created_at)

    @admin.display(description=_("certificates"))
    def certificates(self, connection: Connection) -> SafeString | str:
        rows = connection.certificates.order_by("not_after", "pk")
        return (
            format_html_join(
                "",
                "{} – {}: {}<br>",
                ((moment(c.not_before), moment(c.not_after), c) for c in rows),
            )
            or "-"
        )

    @admin.display(description=_("see also"))
    def see_also(self, connection: Connection) -> SafeString:
        account = {"account": connection.account_id}
        return links(
            (_("Email domains"), "sso_domain", account),
            (_("Members"), "accounts_membership", account),
            (_("Audit events"), "accounts_auditevent", account),
        )


admin.site.unregister(Membership)


@admin.register(Membership)
class MembershipWithSSOAdmin(RowActionsMixin, MembershipAdmin):
    """Members, with what only this app knows: whom their provider takes them for. One who cannot
    get in because it calls them otherwise now is unlinked, and linked anew at the next sign-in."""

    actions = ["unlink"]
    list_select_related = [*MembershipAdmin.list_select_related, "subject"]

    def snapshot(self, row: Membership) -> str:
        subject = getattr(row, "subject", None)
        return subjects.snapshot(subject) if subject else ""

    def get_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[Any]:
        fields = super().get_fields(request, obj)
        return [*fields[:-2], "name_at_provider", *fields[-2:]] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "name_at_provider"]

    @admin.action(permissions=["change"], description=_("Unlink from single sign-on"))
    def unlink(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        by, at = operator_of(request), timezone.now()
        self.call_for_each(
            request,
            queryset,
            lambda each, shown: subjects.unlink_member(membership=each, shown=shown, by=by, at=at),
        )

    @admin.display(description=_("identity at the provider"))
    def name_at_provider(self, member: Membership) -> str:
        subject = subjects.subject_of(member)
        return subject.name_id if subject else "-"
