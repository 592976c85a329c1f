"""No kind of secret is forgotten by the walk of leaks: what forms and calls take, what browsers
keep, and what stands in settings is found in the code, and compared with what the walk plants."""

import re
from collections.abc import Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.urls import get_resolver
from rest_framework import serializers

from config.env.variables import SECRETS
from tests.leaks.test_leaks import KINDS, OF_SETTINGS
from tests.leaks.traffic import PUBLIC_COOKIES, SECRET_COOKIES, SECRET_FIELDS

LIKE_SECRETS = re.compile(
    "pass|secret|token|code|credential|key|access|refresh|saml|assert|otp", re.IGNORECASE
)
NO_SECRETS = {
    **dict.fromkeys(("active_tokens", "token_limit"), "a number"),
    **dict.fromkeys(("delete_tokens", "is_old_secret", "passwordless", "usable_password"), "a box"),
    "form_key": "tells a form that was sent twice; nobody can do anything with it",
    "old_secret": "when the old secret ends",
    "old_secret_hours": "a number",
    "tokens": "a list of ids",
}
"""Fields whose names look like secrets, and what they are."""
OF_OTHERS = {"username": "an address"}
"""Of forms that nobody is shown, which are loaded at times: with the description of the API."""
OF_SECOND_FACTORS = {
    Authenticator.Type.TOTP: "secret of an app",
    Authenticator.Type.RECOVERY_CODES: "recovery code",
    Authenticator.Type.WEBAUTHN: "credential",
}


def _fields() -> Iterator[tuple[str, Any]]:
    assert get_resolver().url_patterns  # all forms and calls are loaded by it
    for form in _below(forms.BaseForm):
        yield from getattr(form, "base_fields", {}).items()
    for serializer in _below(serializers.Serializer):
        yield from getattr(serializer, "_declared_fields", {}).items()


def _below(parent: type) -> Iterator[type]:
    for each in parent.__subclasses__():
        yield each
        yield from _below(each)


def test_every_field_that_may_take_a_secret_is_watched() -> None:
    found = {
        name
        for name, each in _fields()
        if LIKE_SECRETS.search(name)
        or getattr(each, "write_only", False)
        or isinstance(getattr(each, "widget", None), forms.PasswordInput)
    }
    assert found - NO_SECRETS.keys() - OF_OTHERS.keys() <= SECRET_FIELDS, (
        "Watch it, or say in NO_SECRETS what it is."
    )
    assert found >= {"password", "code", "refresh", *NO_SECRETS}


def test_every_cookie_of_the_settings_is_watched_or_public() -> None:
    names = {getattr(settings, name) for name in dir(settings) if name.endswith("_COOKIE_NAME")}
    assert names <= SECRET_COOKIES | PUBLIC_COOKIES.keys()


def test_every_secret_setting_is_planted() -> None:
    assert set(OF_SETTINGS) == set(SECRETS), "Plant it in OF_SETTINGS."


def test_every_second_factor_is_planted() -> None:
    assert set(OF_SECOND_FACTORS) == set(Authenticator.Type)
    assert set(OF_SECOND_FACTORS.values()) <= KINDS
