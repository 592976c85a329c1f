"""Middleware that activates the reader's language and time zone."""

from collections.abc import Callable
from datetime import UTC

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from accounts.languages import catalogue_for
from accounts.models import User
from notifications.time_zones import zone_of

Handler = Callable[[HttpRequest], HttpResponse]


def personal_settings(get_response: Handler) -> Handler:
    """Activate the user's language and time zone; for anonymous visitors the browser's language."""

    def handle(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/iam/") or request.path_info == "/healthz":
            return get_response(request)  # the API speaks English and UTC, and asks no session
        user = request.user
        if isinstance(user, User):
            language = catalogue_for(user.language)
            zone = zone_of(user.time_zone)
        else:
            language = translation.get_language_from_request(request)
            zone = UTC
        with translation.override(language), timezone.override(zone):
            response = get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response

    return handle
