"""Views that choose the theme, and the language of pages for people who are not signed in."""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import check_for_language
from django.views.decorators.http import require_POST

from accounts.appearance import themes
from accounts.appearance.themes import Theme
from accounts.http.redirects import is_our_path

LIFE = timedelta(days=365)


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep the theme for this browser, and lead back. One that does not exist is the system's."""
    response, chosen = _back(request), request.POST.get("theme", "")
    if chosen in (Theme.LIGHT, Theme.DARK):
        _keep(response, themes.COOKIE, chosen)
    else:
        response.delete_cookie(themes.COOKIE)
    return response


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Keep the language of pages for this browser, and lead back. Who is signed in reads the one of
    their profile."""
    response, chosen = _back(request), request.POST.get("language", "")
    if chosen in dict(settings.LANGUAGES) and check_for_language(chosen):
        _keep(response, settings.LANGUAGE_COOKIE_NAME, chosen)
    return response


def _back(request: HttpRequest) -> HttpResponseRedirect:
    """Lead back to the page with the form. (`next` is the name in the forms of the page itself.)"""
    wanted = request.POST.get("back", "")
    return HttpResponseRedirect(wanted if is_our_path(wanted) else "/")


def _keep(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(
        name,
        value,
        max_age=LIFE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
