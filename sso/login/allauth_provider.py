"""Adapter of django-allauth: a connection as an unsaved app of its SAML provider.

allauth stores the state of a login (request ID, process, next page) in the session, by provider ID.
Each account has a provider ID of its own: else one provider could answer a request to another.
"""

from typing import Any

from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.saml.provider import SAMLProvider
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from notifications.links import has_secret
from sso.models import Connection
from sso.saml.python3_saml import build_auth

LOGIN_PROCESS = "login"
MAX_RELAY_STATE_BYTES = 80
"""SAML 2.0 bindings 3.4.3; some providers cut what is longer."""


class ConnectionAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Gives allauth the connections that are switched on instead of rows of its own."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        if client_id is None:
            return []  # the list of accounts with a provider is not public
        found = Connection.objects.filter(
            slug=client_id, is_on=True, account__closed_at__isnull=True
        )
        names = (SAMLProvider.id, None)
        return [build_social_app(each) for each in found if provider in (*names, each.provider_id)]

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """False: users are created by `sso.login`, never by allauth."""
        return False


class ConnectionProvider(SAMLProvider):  # type: ignore[misc]  # allauth has no types
    """Redirects a browser to the provider of one connection, and stores the login state."""

    def __init__(self, request: HttpRequest, connection: Connection) -> None:
        super().__init__(request, app=build_social_app(connection))
        self.connection = connection

    def get_login_url(self, request: HttpRequest, **_query: Any) -> str:
        return reverse("sso:begin", args=[self.connection.slug])

    def redirect(
        self,
        request: HttpRequest,
        process: str,
        next_url: str | None = None,
        data: Any = None,
        **facts: Any,
    ) -> HttpResponse:
        """Redirect to the provider. Dry runs and reauthentication require a fresh authentication
        there (ForceAuthn, Core 3.4.1)."""
        saml = build_auth(self.connection, timezone.now())
        # The next page is stored in the session. The RelayState that comes back is user input and
        # is ignored.
        relay = next_url or ""
        is_too_long = len(relay.encode()) > MAX_RELAY_STATE_BYTES
        relay = "" if is_too_long or has_secret(relay) else relay
        url = saml.login(return_to=relay, force_authn=process != LOGIN_PROCESS)
        self.stash_redirect_state(
            request, process, next_url, data, state_id=saml.get_last_request_id(), **facts
        )
        return HttpResponseRedirect(url)


def build_social_app(connection: Connection) -> SocialApp:
    """Build the app that stands for a connection. It is never saved."""
    return SocialApp(
        provider=SAMLProvider.id,
        provider_id=connection.provider_id,
        name=connection.name,
        client_id=connection.slug,
        settings={},
    )


def path_with_next(name: str, next_url: str) -> str:
    """The path of a URL name, with the page to go on to in its query."""
    return f"{reverse(name)}?{urlencode({REDIRECT_FIELD_NAME: next_url})}"


def requested_next_url(request: HttpRequest) -> str | None:
    """The next page that a request names, if it is on the portal."""
    page: str | None = get_next_redirect_url(request)
    return page
