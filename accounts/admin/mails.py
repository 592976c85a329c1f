"""Admin of mails: waiting, held and failed ones with their reason, and an action to retry."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.admin.filters import ListAdmin, is_text
from accounts.admin.long_lists import accounts_named, fits, has, users_with_address
from accounts.admin.mixins import ReadOnlyAdminMixin, moment
from accounts.members import mail_policy
from accounts.tenancy.decorators import operator_of
from notifications.kinds import EVERY_KIND
from notifications.models import Mail


class MailKindFilter(admin.SimpleListFilter):
    """All kinds there are: those of the rows would take a look at every one."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, code) for code in sorted(EVERY_KIND)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mail]) -> QuerySet[Mail]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Mail)
class MailAdmin(ReadOnlyAdminMixin, ListAdmin):
    """Mails are written and sent by the portal; operators look at them, and retry held ones."""

    actions = ["try_again"]
    fields = [
        *("id", "kind", "user", "account", "state", "reason", "tries", "was_in_doubt"),
        *("created", "next_try", "give_up", "sent"),
    ]
    list_display = ["created", "user", "account", "kind", "state", "tries", "next_try", "reason"]
    list_filter = ["state", "was_in_doubt", MailKindFilter]
    list_max_show_all = 500  # after an outage many are selected at once
    lookups = {"state__exact": is_text, "was_in_doubt__exact": is_text, "kind": is_text}
    list_select_related = ["user", "account"]
    search_fields = ["user__email", "account__name", "reason"]
    search_help_text = _("Search by email, account, or text in the reason.")
    ordering = ["-created_at", "-pk"]
    sorted_by_index = ["created"]

    def matches(self, word: str) -> Q:
        elsewhere = [("user", users_with_address(word)), ("account", accounts_named(word))]
        # Most mails have no reason, and an index holds those that have one.
        return fits(Q(reason__gt="") & has("reason", word), elsewhere)

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, mail: Mail) -> str:
        return moment(mail.created_at)

    @admin.display(description=_("next attempt"), ordering="next_try_at")
    def next_try(self, mail: Mail) -> str:
        return moment(mail.next_try_at) if mail.is_open else "-"

    @admin.display(description=_("retry until"))
    def give_up(self, mail: Mail) -> str:
        return moment(mail.give_up_at)

    @admin.display(description=_("sent"), ordering="sent_at")
    def sent(self, mail: Mail) -> str:
        return moment(mail.sent_at)

    @admin.action(permissions=["view"], description=_("Resend selected emails"))
    def try_again(self, request: HttpRequest, queryset: QuerySet[Mail]) -> None:
        """Retry the selected mails that are held or given up; the others stay as they are."""
        by, at = operator_of(request), timezone.now()
        number = sum(mail_policy.retry_mail(mail=mail, by=by, at=at) for mail in queryset)
        if number == 0:
            words = _t("Only emails that are on hold or have failed can be resent.")
            self.message_user(request, words, messages.WARNING)
            return
        words = ngettext(
            "%(number)d email will be resent.", "%(number)d emails will be resent.", number
        )
        self.message_user(request, words % {"number": number}, messages.SUCCESS)
