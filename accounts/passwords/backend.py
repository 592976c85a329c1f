"""The authentication backend of e-mail and password."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from accounts.text.passwords import forms_to_check


class PasswordBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth has no types
    """allauth's, which also takes a password that was stored as it was typed, and composes it."""

    @sensitive_variables("credentials")
    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User:
        """The user. Raises `PermissionDenied` else: the backend behind this one is there for
        sessions that began with it, and must not compare the password again."""
        user: User | None = super().authenticate(request, **credentials)
        if user is None:
            raise PermissionDenied
        # To ask for the password again must not end the session that asks.
        if request is None or not getattr(request, "user", user).is_authenticated:
            user.compose_password(credentials["password"])
        return user

    @sensitive_variables("password")
    def _mitigate_timing_attack(self, password: str) -> None:
        """As many hashes for an unknown address as a wrong password of a known one needs."""
        for form in forms_to_check(password):
            User().set_password(form)
