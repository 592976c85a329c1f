"""Sign-in as this product wants it: django-allauth does it, this file tells it how."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor, Through
from accounts.addresses import client_address
from accounts.models import User


class SignInAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People come by invitation; there is no sign-up page."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        address = client_address(request)
        if address is None:
            raise PermissionDenied("The address of the client is not known.")
        return address


@receiver(user_logged_in)
def _signed_in(user: User, request: HttpRequest, **_facts: Any) -> None:
    audit.record("sign_in.succeeded", by=_person(user, request), at=timezone.now(), subject=user)


@receiver(user_logged_out)
def _signed_out(user: User | None, request: HttpRequest, **_facts: Any) -> None:
    if user is not None:
        audit.record("sign_out", by=_person(user, request), at=timezone.now(), subject=user)


@receiver(user_login_failed)
def _refused(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_facts: Any
) -> None:
    """Remember a refused sign-in by the user it was tried for, and say nothing about strangers."""
    if request is None:
        return
    email = str(credentials.get("email") or "").strip().lower()
    subject = User.objects.filter(email=email).first() if "\0" not in email else None
    audit.record("sign_in.refused", by=_person(None, request), at=timezone.now(), subject=subject)


def _person(user: User | None, request: HttpRequest) -> Actor:
    return Actor(through=Through.PORTAL, user=user, address=client_address(request))
