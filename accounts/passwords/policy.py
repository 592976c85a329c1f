"""The one check of a new password, at every entry point."""

from collections.abc import Iterable

from django.contrib.auth.password_validation import validate_password
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from accounts.text.passwords import normal_password


@sensitive_variables("password")
def refuse_weak_password(password: str, user: User, *, companies: Iterable[str] = ()) -> None:
    """Refuse a password that is short, common, easy to guess, or like the user. `companies` are
    the names of accounts that the user is about to join. Raises `ValidationError`."""
    user.future_companies = tuple(companies)
    validate_password(normal_password(password), user)
