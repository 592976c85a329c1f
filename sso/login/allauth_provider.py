"""django-allauth's side of it: a connection as an app of its SAML provider, made when it is asked
for. What a browser asked for is remembered by allauth, under a name of this account's provider
alone: with one name for all, what one provider says would answer what another was asked."""

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

from sso.models import Connection
from sso.saml.python3_saml import conversation

SIGN_IN = "login"
LONGEST_RELAY_STATE = 80
"""Bytes, says SAML; some providers cut what is longer."""


class ConnectionAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Finds connections that are switched on, where allauth looks for rows of its own."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        if client_id is None:
            return []  # nobody is told which accounts have a provider
        found = Connection.objects.filter(
            slug=client_id, is_on=True, account__closed_at__isnull=True
        )
        names = (SAMLProvider.id, None)
        return [app_of(each) for each in found if provider in (*names, each.provider_id)]

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Who may come in is decided by `sso.login.services`, and never by allauth."""
        return False


class ConnectionProvider(SAMLProvider):  # type: ignore[misc]  # allauth has no types
    """Sends a browser to the provider of one connection, and remembers why."""

    def __init__(self, request: HttpRequest, connection: Connection) -> None:
        super().__init__(request, app=app_of(connection))
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
        """To the provider. For another process than a sign-in it is to ask the person anew."""
        saml = conversation(self.connection, timezone.now())
        # The page to go on to stays here, in the session. What comes back as RelayState is
        # whatever a browser sends, and decides nothing.
        wanted = next_url or ""
        relay = wanted if len(wanted.encode()) <= LONGEST_RELAY_STATE else ""
        address = saml.login(return_to=relay, force_authn=process != SIGN_IN)
        self.stash_redirect_state(
            request, process, next_url, data, state_id=saml.get_last_request_id(), **facts
        )
        return HttpResponseRedirect(address)


def app_of(connection: Connection) -> SocialApp:
    """Never saved. Its `provider_id` keeps this account's requests and names apart from others'."""
    return SocialApp(
        provider=SAMLProvider.id,
        provider_id=connection.provider_id,
        name=connection.name,
        client_id=connection.slug,
        settings={},
    )


def path_to(name: str, wanted: str) -> str:
    """The address of this name, which goes on to the page that was wanted."""
    return f"{reverse(name)}?{urlencode({REDIRECT_FIELD_NAME: wanted})}"


def wanted_page(request: HttpRequest) -> str | None:
    """The page of ours that a request asks to go on to."""
    page: str | None = get_next_redirect_url(request)
    return page
