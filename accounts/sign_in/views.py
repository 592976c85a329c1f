"""Views of the sign-in page, and of the links that confirm an address or set a new password."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.account import views as account
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import url_str_to_user_pk
from allauth.mfa.webauthn import views as passkeys
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts.authorization import sso_hooks
from accounts.http.redirects import safe_next
from accounts.models import User
from accounts.sign_in.forms import AddressForm, SignInForm
from accounts.throttling import sign_in_limits
from accounts.validators import is_id


@sensitive_post_parameters("password")
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for the address, and go on to the provider of its domain or to the password. That reveals
    nothing about the user: all addresses of a domain lead the same way."""
    if not request.user.is_authenticated:
        if request.method == "POST" and "password" not in request.POST:
            return _second_step(request)
        if request.method == "GET" and request.GET.get("way") == "password":
            return _page(request, SignInForm(request=request), asks_password=True)
    answer: HttpResponse = account.login(request)
    return answer


@never_cache
def sign_in_with_passkey(request: HttpRequest) -> HttpResponse:
    """Sign in with what the browser or a device holds."""
    if request.method == "POST":
        sign_in_limits.count_passkey(request)
    answer: HttpResponse = passkeys.login_webauthn(request)
    return answer


@never_cache
def confirm_email(request: HttpRequest, key: str) -> HttpResponse:
    """The link that confirms the address of a sign-up. Opening it changes nothing. It is good once,
    also if it is sent twice at the same moment: the second waits for the first."""
    # The user first, as everywhere: the address is locked after it.
    owner = EmailAddress.objects.filter(pk=_address_id(key) or 0).values("user")
    with _one_at_a_time(request, User.objects.filter(pk__in=owner)):
        if _address_id(key) is None:
            return render(request, "account/email_confirm.html", status=410)
        answer: HttpResponse = account.confirm_email(request, key=key)
        return answer


@sensitive_post_parameters()
@never_cache
def set_forgotten_password(request: HttpRequest, uidb36: str, key: str) -> HttpResponse:
    """The link that sets a new password. Good once, as `confirm_email` is: the new password is what
    makes the link invalid."""
    with _one_at_a_time(request, User.objects.filter(pk=_user_id(uidb36) or 0)):
        answer: HttpResponse = account.password_reset_from_key(request, uidb36=uidb36, key=key)
    if (getattr(answer, "context_data", None) or {}).get("token_fail"):
        answer.status_code = 410
    return answer


@contextmanager
def _one_at_a_time(request: HttpRequest, rows: QuerySet[Any]) -> Iterator[None]:
    """A transaction that holds these rows, around a POST: what it has read stays true."""
    if request.method != "POST":
        yield
        return
    with transaction.atomic():
        list(rows.select_for_update(no_key=True))
        yield


def _address_id(key: str) -> int | None:
    """The id of the address that this key confirms; None for a bad key and a confirmed address."""
    link = EmailConfirmationHMAC.from_key(key)
    return link.email_address.pk if link else None


def _user_id(uidb36: str) -> int | None:
    try:
        user_id: int = url_str_to_user_pk(uidb36)
    except (ValueError, ValidationError):
        return None
    return user_id if is_id(user_id) else None


def _second_step(request: HttpRequest) -> HttpResponse:
    form = AddressForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=400)
    email: str = form.cleaned_data["login"]
    path = None if request.POST.get("way") == "password" else sso_hooks.sign_in_path(email)
    if path is None:
        form = SignInForm(initial={"login": email}, request=request)
        return _page(request, form, asks_password=True)
    wanted = safe_next(request, fallback="")
    if wanted:
        path = f"{path}?{urlencode({REDIRECT_FIELD_NAME: wanted})}"
    # The Content-Security-Policy lets no form lead to another site, not even by a redirect of ours:
    # the page goes on by itself.
    return render(request, "account/redirect_to_provider.html", {"redirect_url": path})


def _page(
    request: HttpRequest,
    form: AddressForm | SignInForm,
    *,
    status: int = 200,
    asks_password: bool = False,
) -> HttpResponse:
    context = {
        "form": form,
        "asks_password": asks_password,
        "redirect_field_name": REDIRECT_FIELD_NAME,
        "redirect_field_value": safe_next(request, fallback=""),
    }
    return render(request, "account/login.html", context, status=status)
