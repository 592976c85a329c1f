"""URLs of sign-in and security. Their names are django-allauth's, which reverses them."""

from collections.abc import Callable

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.contrib.auth.decorators import login_required
from django.db.transaction import atomic
from django.http import HttpResponseBase
from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView

from accounts.http.shown_once import marked_as_secret, render_before_commit
from accounts.sign_in import security_views as security
from accounts.sign_in import views as sign_in
from notifications import links  # noqa: F401  # the converter <secret:…>


class Base36Converter(StringConverter):
    """The id of a user, as django-allauth writes it."""

    regex = "[0-9A-Za-z]{1,13}"


register_converter(Base36Converter, "base36")


# Strangers go to the sign-in page at once: django-allauth would first keep what they have sent.
signed_in = login_required


def page(route: str, view: Callable[..., HttpResponseBase], *, name: str) -> URLPattern:
    """A page that no browser keeps: it names the person, or says what only they should know."""
    return path(route, never_cache(view), name=name)


# Changes of second factors are committed together with their audit events, or not at all (the
# events are written in `accounts.sign_in.allauth_adapter`).
urlpatterns = [
    page("sign-in/", sign_in.sign_in, name="account_login"),
    page("sign-in/passkey/", sign_in.sign_in_with_passkey, name="mfa_login_webauthn"),
    page("sign-in/second-factor/", mfa.authenticate, name="mfa_authenticate"),
    page("sign-in/again/", account.reauthenticate, name="account_reauthenticate"),
    page("sign-in/again/code/", mfa.reauthenticate, name="mfa_reauthenticate"),
    page(
        "sign-in/again/passkey/",
        passkeys.reauthenticate_webauthn,
        name="mfa_reauthenticate_webauthn",
    ),
    page("sign-in/inactive/", account.account_inactive, name="account_inactive"),
    page("sign-out/", account.logout, name="account_logout"),
    page("sign-up/", account.signup, name="account_signup"),
    page("sign-up/sent/", account.email_verification_sent, name="account_email_verification_sent"),
    page("sign-up/confirm/<secret:key>/", sign_in.confirm_email, name="account_confirm_email"),
    page("password/forgotten/", account.password_reset, name="account_reset_password"),
    page(
        "password/forgotten/sent/",
        account.password_reset_done,
        name="account_reset_password_done",
    ),
    page(
        "password/new/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    page(
        "password/new/<base36:uidb36>-<secret:key>/",
        sign_in.set_forgotten_password,
        name="account_reset_password_from_key",
    ),
    page("profile/security/", security.overview, name="mfa_index"),
    page("profile/security/password/", account.password_change, name="account_change_password"),
    page("profile/security/password/set/", account.password_set, name="account_set_password"),
    page(
        "profile/security/app/",
        marked_as_secret(signed_in(atomic(totp.activate_totp))),
        name="mfa_activate_totp",
    ),
    page(
        "profile/security/app/remove/",
        signed_in(atomic(totp.deactivate_totp)),
        name="mfa_deactivate_totp",
    ),
    page(
        "profile/security/recovery-codes/",
        marked_as_secret(signed_in(render_before_commit(codes.view_recovery_codes))),
        name="mfa_view_recovery_codes",
    ),
    page(
        "profile/security/recovery-codes/new/",
        signed_in(atomic(codes.generate_recovery_codes)),
        name="mfa_generate_recovery_codes",
    ),
    page(
        "profile/security/passkeys/",
        RedirectView.as_view(pattern_name="mfa_index"),
        name="mfa_list_webauthn",
    ),
    page(
        "profile/security/passkeys/add/",
        signed_in(atomic(passkeys.add_webauthn)),
        name="mfa_add_webauthn",
    ),
    page(
        "profile/security/passkeys/<int:pk>/rename/",
        signed_in(passkeys.edit_webauthn),
        name="mfa_edit_webauthn",
    ),
    page(
        "profile/security/passkeys/<int:pk>/remove/",
        signed_in(atomic(passkeys.remove_webauthn)),
        name="mfa_remove_webauthn",
    ),
]
