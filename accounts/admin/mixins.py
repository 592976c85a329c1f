"""Parts that the admin's pages share: read-only rows, times, links."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString


class ReadOnlyAdminMixin:
    """Lets operators look at rows, and neither add, change nor delete them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def moment(at: datetime | None, *, seconds: bool = False) -> str:
    """A time in the operator's time zone, short enough for a column; a dash for none."""
    if at is None:
        return "-"
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def links(*targets: tuple[Any, str, dict[str, Any]]) -> SafeString:
    """Links to lists of the admin, each as (text, `app_model`, query)."""
    return format_html_join(
        " · ",
        '<a href="{}?{}">{}</a>',
        (
            (reverse(f"admin:{name}_changelist"), urlencode(query), text)
            for text, name, query in targets
        ),
    )
