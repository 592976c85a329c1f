"""Which routes of the URL configuration are ways into the portal, and which are none.

A route that lets somebody in stands beside its row of the table; one that strangers reach, and that
is no way, stands here with its reason. The tests of this folder compare both with what the portal
has, and no test of any folder gets a session by another route.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.signals import user_logged_in

ANY_PAGE, ANY_CALL = "home", "api-my-account"
"""Of many alike: pages ask for a session, calls of the API for a token."""

ROUTE_OF: dict[str, str] = {
    "password": "account_login",
    "password in a known browser": "account_login",
    "passkey": "mfa_login_webauthn",
    "second factor": "mfa_authenticate",
    "recovery code": "mfa_authenticate",
    "single sign-on": "sso:finish",
    "open session": ANY_PAGE,
    "password session of 14 days": ANY_PAGE,
    "single sign-on session of 12 hours": ANY_PAGE,
    "password reset link": "account_reset_password_from_key",
    "invitation link": "accounts:invitation",
    "confirmation link": "account_confirm_email",
    "e-mail change link": "accounts:confirm_email",
    "operators' pages": "admin:index",
    "JWT login": "api-login",
    "JWT refresh": "api-refresh",
    "JWT switch": "api-login-to-account",
    "Bearer": ANY_CALL,
    "Bearer verified": "api-verify",
    "Bearer introspected": "api-introspect",
    "Bearer introspected in a batch": "api-introspect-batch",
    "API token": ANY_CALL,
    "API token verified": "api-verify",
    "API token verified from memory": "api-verify",
    "API token introspected": "api-introspect",
    "API token introspected from memory": "api-introspect",
    "API token introspected in a batch": "api-introspect-batch",
    "new token of a service account": "api-tokens-v1",
    "new token of a service account, version 2": "api-tokens-v2",
    "new secret of a service account": "api-rotate-v1",
    "new secret of a service account, version 2": "api-rotate-v2",
}
"""By the name of the way: the route, as it is named by the URL configuration, that lets it in."""

NO_WAYS: dict[str, str] = {
    "livez": "a probe",
    "readyz": "a probe",
    "healthz": "a probe",
    "metrics": "numbers, for a token that opens nothing else",
    "openapi": "the description of the API",
    "api-docs": "the description of the API",
    "accounts:theme": "sets a cookie for the looks",
    "accounts:language": "sets a cookie for the language",
    "account_inactive": "a page of words",
    "account_email_verification_sent": "a page of words",
    "account_reset_password_done": "a page of words",
    "account_reset_password_from_key_done": "a page of words",
    "account_signup": "makes a person, whom the confirmation link lets in",
    "account_reset_password": "sends a mail, whose link is in the table",
    "accounts:answer_contact": "a person agrees to be the contact of a service account, or not",
    "accounts:former_link": "leads on to the present address of a link, which is in the table",
    "notifications:unsubscribe": "ends mails",
    "mfa_list_webauthn": "leads on to the page of passkeys, which asks for a session",
    "admin:logout": "ends a session",
    "sso:begin": "leads to the provider; what comes back is in the table",
    "sso:acs": "keeps the provider's answer for sso:finish, which is in the table",
    "sso:metadata": "a public document",
    "sso:sls": "ends a session",
}
"""Routes that answer strangers, and why they let nobody in."""


@contextmanager
def no_other_way() -> Iterator[None]:
    """Meanwhile a sign-in by a route that is no way of the table is an error."""

    def judge(request: Any, **_facts: Any) -> None:
        match = getattr(request, "resolver_match", None)  # None: Client.force_login
        assert match is None or match.view_name in ROUTE_OF.values(), (
            f"{match.view_name} signs somebody in: give it a row in tests/ways_in."
        )

    user_logged_in.connect(judge)
    try:
        yield
    finally:
        user_logged_in.disconnect(judge)
