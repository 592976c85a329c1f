"""Middleware of pages: the session, and the reader's language and time zone."""

import logging
from collections.abc import Callable
from datetime import UTC

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from accounts.languages import catalogue_for
from accounts.models import User
from notifications.time_zones import zone_of

logger = logging.getLogger(__name__)

Handler = Callable[[HttpRequest], HttpResponse]


class Sessions(SessionMiddleware):
    """Django's, whose last save must not take away an answer that is ready: what it tells has
    happened, and it may be shown this once. What is lost is a message, or which account was opened
    last. A sign-in, whose answer brings the browser another session, does fail."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        sent = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        is_another = sent is None or request.session.session_key != sent
        try:
            return super().process_response(request, response)
        except (Error, SessionInterrupted):
            if is_another:
                raise
            logger.warning("A session was not saved.", exc_info=True)
            patch_vary_headers(response, ("Cookie",))
            return response


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
        request.LANGUAGE_CODE = language  # for pages of errors, as Django's own middleware does
        with translation.override(language), timezone.override(zone):
            response = get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response

    return handle
