"""Forms of sign-in and sign-up, run by django-allauth (ACCOUNT_FORMS), with our labels."""

from typing import Any

from allauth.account.fields import SetPasswordField
from allauth.account.forms import (
    ChangePasswordForm,
    LoginForm,
    ResetPasswordForm,
    ResetPasswordKeyForm,
    SetPasswordForm,
    SignupForm,
)
from allauth.mfa.totp.forms import ActivateTOTPForm
from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.authorization import sso_hooks
from accounts.email_addresses import SURROUNDING, known_email, normal_email
from accounts.languages import language_for
from accounts.models import User, validate_time_zone
from accounts.passwords.policy import refuse_weak_password
from accounts.sign_in import registration
from accounts.sign_in import services as sign_in_services
from accounts.sign_in.allauth_adapter import person, refuse_forced
from accounts.sign_in.mfa import normal_code
from accounts.throttling import sign_in_limits
from accounts.validators import validate_name

GOOD_PASSWORD = _("At least 12 characters. Avoid common passwords and your name or email address.")


class BrowserTimeZone(forms.CharField):
    """The browser's time zone, set by a script; UTC without one, or for an unknown one. People
    change it in My profile."""

    widget = forms.HiddenInput

    def __init__(self) -> None:
        super().__init__(required=False)
        self.widget.attrs["data-time-zone"] = True

    def clean(self, value: Any) -> str:
        try:
            name: str = super().clean(value)
            validate_time_zone(name)
        except ValidationError:
            return "UTC"
        return name


class AddressField(forms.EmailField):
    """An e-mail address, without what was copied along with it."""

    def to_python(self, value: Any) -> str | None:
        return super().to_python(value.strip(SURROUNDING) if isinstance(value, str) else value)


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth has no types
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _let_blanks_go(self, "login")
        _reword(self, login=_("Email"), password=_("Password"))
        self.fields["login"].widget.attrs["autocomplete"] = "username"
        self.fields["password"].help_text = ""
        if self.initial.get("login"):  # the second step: only the password is left to type
            self.fields["password"].widget.attrs["autofocus"] = True

    def clean(self) -> dict[str, Any]:
        """Give all addresses of a domain with forced single sign-on the same answer: with a right
        password or a wrong one, known or not."""
        email = known_email(self.cleaned_data.get("login", ""))
        is_forced = email is not None and sso_hooks.is_forced_address(email)
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            if is_forced:
                raise _forced() from None
            raise
        if is_forced and self.user is not None and sso_hooks.refuses(self.user):
            refuse_forced(self.user, self.request)
            raise _forced()
        return cleaned


class AddressForm(forms.Form):
    """The first step of signing in: the e-mail address."""

    login = AddressField(
        label=_("Email"), widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )

    def clean_login(self) -> str:
        return normal_email(self.cleaned_data["login"])


class SignUpForm(SignupForm):  # type: ignore[misc]  # allauth has no types
    account_name = forms.CharField(
        label=_("Company name"), max_length=150, validators=[validate_name]
    )
    name = forms.CharField(
        label=_("Your name"), max_length=150, required=False, validators=[validate_name]
    )
    time_zone = BrowserTimeZone()
    field_order = ["account_name", "name", "email", "password1"]
    account_already_exists: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _let_blanks_go(self, "email")
        _reword(self, email=_("Email"), password1=_("Password"))
        self.fields["password1"].help_text = GOOD_PASSWORD
        for field, autocomplete in (("account_name", "organization"), ("name", "name")):
            self.fields[field].widget.attrs["autocomplete"] = autocomplete

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        if (password := cleaned.get("password1")) is not None:
            user = User(email=cleaned.get("email", ""), name=cleaned.get("name", ""))
            companies = [cleaned.get("account_name", "")]
            try:
                refuse_weak_password(password, user, companies=companies)
            except ValidationError as refusal:
                self.add_error("password1", refusal)
        return cleaned

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Sign up by our service, which knows better than allauth which addresses are taken. One
        password is hashed either way, so that timing does not reveal known addresses."""
        try:
            return self._sign_up(request), None
        except (IntegrityError, ValidationError):
            if not User.objects.filter(email=self.cleaned_data["email"]).exists():
                raise
            self.account_already_exists = True
        answer: tuple[User | None, HttpResponse | None] = super().try_save(request)
        return answer

    def _sign_up(self, request: HttpRequest) -> User:
        return registration.sign_up(
            email=self.cleaned_data["email"],
            password=self.cleaned_data["password1"],
            account_name=self.cleaned_data["account_name"],
            name=self.cleaned_data["name"],
            language=language_for(get_language()),
            time_zone=self.cleaned_data["time_zone"],
            by=person(None, request),
            at=timezone.now(),
        )


class ForgottenPasswordForm(ResetPasswordForm):  # type: ignore[misc]  # allauth has no types
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _let_blanks_go(self, "email")
        _reword(self, email=_("Email"))

    def save(self, request: HttpRequest, **_kwargs: Any) -> str:
        email: str = normal_email(self.cleaned_data["email"])
        sign_in_limits.acquire_reset(request, email)
        sign_in_services.request_password_reset(
            email=email, by=person(None, request), at=timezone.now()
        )
        return email


class _NewPasswordMixin:
    """Our labels for the two fields of a new password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        assert isinstance(self, forms.Form)
        _reword(self, password1=_("New password"), password2=_("Confirm new password"))
        self.fields["password1"].help_text = GOOD_PASSWORD


class OtherPasswordForm(_NewPasswordMixin, ChangePasswordForm):  # type: ignore[misc]  # as above
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _reword(self, oldpassword=_("Current password"))


class OwnPasswordForm(_NewPasswordMixin, SetPasswordForm):  # type: ignore[misc]  # as above
    pass


class ForgottenPasswordKeyForm(_NewPasswordMixin, ResetPasswordKeyForm):  # type: ignore[misc]  # as above
    pass


class FirstPasswordForm(forms.Form):
    """The password that an invited person chooses."""

    password1 = SetPasswordField(label=_("Choose a password"), help_text=GOOD_PASSWORD)
    time_zone = BrowserTimeZone()

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data)
        _reword(self, password1=_("Choose a password"))
        self.fields["password1"].user = user  # type: ignore[attr-defined]  # allauth's field


class AppForm(ActivateTOTPForm):  # type: ignore[misc]  # allauth has no types
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _reword(self, code=_("Code from the app"))
        self.fields["code"].widget.attrs["inputmode"] = "numeric"

    def clean_code(self) -> str:
        self.cleaned_data["code"] = normal_code(self.cleaned_data["code"])
        return str(super().clean_code())


class EmailForm(forms.Form):
    """The new address to sign in with."""

    email = AddressField(
        label=_("New email"), widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )

    def clean_email(self) -> str:
        return normal_email(self.cleaned_data["email"])


def _let_blanks_go(form: forms.Form, name: str) -> None:
    """Have our field for an address in the place of allauth's."""
    form.fields[name] = AddressField(widget=form.fields[name].widget)


def _forced() -> ValidationError:
    return ValidationError(
        _(
            "People with this address sign in through their company. Go back to the start, enter "
            "only your email address, and continue."
        ),
        code="sso_forced",
    )


def _reword(form: forms.Form, **labels: Any) -> None:
    """Set our labels, and remove placeholders: they vanish when they are needed."""
    for name, label in labels.items():
        field = form.fields[name]
        field.label = label
        field.widget.attrs.pop("placeholder", None)
