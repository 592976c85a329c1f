"""Context processor of what every page begins with: theme and language, and their choices."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.appearance.themes import Theme, theme_of
from notifications.links import has_secret


def appearance(request: HttpRequest) -> dict[str, Any]:
    """Add `theme`, "" where the system decides, the choices of both, and `this_page`: where a form
    leads that comes back here (of a secret link, the home page). No choices on pages of requests
    that were refused before they were read: such a page has no CSRF cookie to send a form with.
    """
    theme = theme_of(request)
    is_read = hasattr(request, "user")
    here = request.get_full_path() if request.method == "GET" else request.path
    return {
        "theme": "" if theme is Theme.SYSTEM else theme.value,
        "theme_choices": [(each, each is theme) for each in Theme] if is_read else [],
        "language_choices": settings.LANGUAGES,
        "this_page": "/" if has_secret(here) else here,
    }
