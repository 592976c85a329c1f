"""Admin actions that call a service for each selected row."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class RowActionsMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Calls a service for each selected row, and shows the outcome of each as a message."""

    unchanged_message: str | Promise = _("No change was needed.")
    """For rows for which the service returns False."""

    def call_for_each(
        self, request: HttpRequest, queryset: QuerySet[Any], service: Callable[[Any], object]
    ) -> None:
        for row in queryset:
            outcome: str | Promise
            try:
                done = service(row)
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
