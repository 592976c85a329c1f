"""The theme of pages in one browser: the system's, light or dark."""

from django.db.models import TextChoices
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

COOKIE = "theme"


class Theme(TextChoices):
    """What the cookie says; without one the system decides."""

    SYSTEM = "system", _("System")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


def theme_of(request: HttpRequest) -> Theme:
    """The theme that was chosen in this browser; the system's for a cookie that names none."""
    chosen = request.COOKIES.get(COOKIE, "")
    return Theme(chosen) if chosen in Theme.values else Theme.SYSTEM
