"""Signs users out at the provider, and ends their sessions when the provider requests it."""

from collections.abc import Callable
from datetime import datetime

from allauth.usersessions.models import UserSession
from django.core import signing
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from accounts.authorization import half_sign_ins
from accounts.authorization.actor import Actor
from accounts.http.session_backend import SessionStore
from accounts.models import User
from accounts.sign_in import services as sign_in_services
from sso.login import sso_session
from sso.login.sso_session import SSOSession
from sso.logout.messages import LogoutRequest
from sso.models import Connection
from sso.name_ids import find_subject
from sso.saml.python3_saml import build_auth

SALT = "sso.signing-out"
SIGNED_LINK_SECONDS = 300
"""How long the link of the sign-out page is valid."""


def sign_out_path(request: HttpRequest) -> str | None:
    """The path of the page that signs the user out at the provider; None if the session did not
    begin by SSO or the provider has no Single Logout. Call it before the session ends."""
    session = sso_session.load(request.session)
    if session is None:
        return None
    found = Connection.objects.filter(pk=session.connection_id, is_on=True)
    connection = found.exclude(slo_url="").first()
    if connection is None:
        return None
    path = reverse("sso:sign_out", args=[connection.slug])
    return f"{path}?who={signing.dumps(list(session), salt=SALT, compress=True)}"


def logout_request_url(connection: Connection, signed: str, *, at: datetime) -> str | None:
    """The URL at the provider with a LogoutRequest for the session that `sign_out_path` has signed;
    None if the signature is invalid or expired."""
    try:
        session = SSOSession(*signing.loads(signed, salt=SALT, max_age=SIGNED_LINK_SECONDS))
    except (signing.BadSignature, TypeError):
        return None
    if session.connection_id != connection.pk or not connection.slo_url:
        return None
    url: str = build_auth(connection, at).logout(
        return_to="",
        name_id=session.name_id,
        name_id_format=session.name_id_format or None,
        session_index=session.session_index or None,
    )
    return url


def end_sessions(
    connection: Connection, logout_request: LogoutRequest, *, by: Actor, at: datetime
) -> int:
    """End the user's sessions that the request concerns, in all browsers. Returns how many."""
    subject = find_subject(connection, logout_request.name_id, logout_request.name_id_format)
    if subject is None:
        return 0
    user = subject.membership.user
    return end_sessions_through(connection, user, logout_request.concerns, by=by, at=at)


@transaction.atomic
def end_sessions_through(
    connection: Connection,
    user: User,
    is_meant: Callable[[SSOSession], bool] = lambda _session: True,
    *,
    by: Actor,
    at: datetime,
) -> int:
    """End the user's sessions, in all browsers, that began at this provider, and all sign-ins that
    are half done: what those began with is known to their browsers alone. Returns the number of
    sessions."""
    half_sign_ins.end_all(user_id=user.pk)
    found = [
        (session, sso_session.load(SessionStore(session.session_key)))
        for session in UserSession.objects.filter(user=user)
    ]
    concerned = [
        session
        for session, began in found
        if began is not None and began.connection_id == connection.pk and is_meant(began)
    ]
    return sign_in_services.end_sessions(sessions=concerned, by=by, at=at)
