"""Admin actions that call a service for each selected row."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

NOT_SHOWN = "-"
"""In place of the snapshot of a row that the list has not shown; no snapshot is like it."""


class RowActionsMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Calls a service for each selected row, and shows the outcome of each as a message.

    The list sends along what it has shown of each row, and the service acts on that or refuses:
    also for a row of which nothing is sent.
    """

    unchanged_message: str | Promise = _("No change was needed.")
    """For rows for which the service returns False."""

    def snapshot(self, row: Any) -> str:
        """A fingerprint of what the list shows of the row, and its actions depend on."""
        raise NotImplementedError

    def action_checkbox(self, obj: Any) -> SafeString:
        return format_html(
            '{}<input type="hidden" name="shown" value="{}={}">',
            super().action_checkbox(obj),
            str(obj.pk),
            self.snapshot(obj),
        )

    def call_for_each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        service: Callable[[Any, str], object],
    ) -> None:
        """Call the service for each row, with the `snapshot` of it that the list has shown."""
        sent = (each.partition("=") for each in request.POST.getlist("shown"))
        shown = {key: snapshot for key, _equals, snapshot in sent}
        for row in queryset:
            outcome: str | Promise
            try:
                done = service(row, shown.get(str(row.pk), NOT_SHOWN))
            except (PermissionDenied, ValidationError) as refusal:
                outcome, level = refusal_text(refusal), messages.ERROR
            else:
                outcome = self.unchanged_message if done is False else _("Done.")
                level = messages.WARNING if done is False else messages.SUCCESS
            self.message_user(request, f"{outcome} ({self.row_name(row)})", level)

    def row_name(self, row: Any) -> str:
        return str(row)


def refusal_text(refusal: PermissionDenied | ValidationError) -> str:
    """The sentences of a service's refusal."""
    return " ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)
