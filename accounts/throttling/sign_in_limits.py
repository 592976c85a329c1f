"""Limits on tries to sign in, for all ways in.

A try is counted for its address, and for whom it was made. A browser that this person has used
before has tries of its own instead, and so have codes of a second factor: what strangers use up
keeps nobody out. A try that is refused costs nothing: it is counted for nobody.
"""

from datetime import timedelta

from django.http import HttpRequest

from accounts.email_addresses import known_email
from accounts.http.client_ip import client_address, network_of
from accounts.models import User
from accounts.throttling import rate_limits
from accounts.throttling.known_browsers import browser_of, browser_of_anybody
from accounts.throttling.rate_limits import Limit, Slots

MINUTE, FIVE_MINUTES = timedelta(minutes=1), timedelta(minutes=5)

SIGN_INS = Limit("sign-ins", 60, MINUTE)
"""With a right password or a wrong one, from one network or known browser."""
WRONG = Limit("wrong-passwords-network", 20, MINUTE)
"""From one network, for anybody."""
PASSWORDS = Limit("wrong-passwords", 5, FIVE_MINUTES)
"""For one e-mail address, whether anybody has it or not, or by one known browser."""
AGAIN = Limit("wrong-passwords-again", 5, FIVE_MINUTES)
"""By one person who is signed in."""
CODES = Limit("wrong-codes", 5, FIVE_MINUTES)
"""Of one person, or by one known browser. Six digits are few: at 5 a minute they would be guessed
in months."""
PASSKEYS = Limit("passkeys", 10, MINUTE)
RESETS_BY_NETWORK = Limit("password-resets-network", 10, MINUTE)
RESETS = Limit("password-resets", 3, timedelta(minutes=15))


def count_passkey(request: HttpRequest) -> None:
    """Count a sign-in by passkey, which names nobody until it is proven. Raises `TooManyTries`."""
    rate_limits.acquire(PASSKEYS, browser_of_anybody(request) or _network(request))


def acquire_password(request: HttpRequest, email: str) -> Slots:
    """Count a password that is about to be tried. Free the slots if it was right. Raises
    `TooManyTries`."""
    email = known_email(email) or email.lower()
    user = request.user
    if isinstance(user, User) and user.email == email:
        return rate_limits.acquire_all((AGAIN, str(user.pk)))
    _counted, *tries = _acquire(request, email, (SIGN_INS, WRONG), PASSWORDS)
    return tries


def acquire_reset(request: HttpRequest, email: str) -> None:
    """Count a link that is asked for. Raises `TooManyTries`."""
    _acquire(request, email, (RESETS_BY_NETWORK,), RESETS)


def acquire_code(request: HttpRequest, user: User) -> str:
    """Count a code that is about to be tried. Returns whose tries to give back if it was right, by
    `forget_codes`. Raises `TooManyTries`."""
    subject = str(browser_of(request, user) or user.pk)
    rate_limits.acquire(CODES, subject)
    return subject


def forget_codes(subject: str) -> None:
    rate_limits.forget(CODES, subject)


def forget_passwords(email: str) -> None:
    """Give all tries of an e-mail address back: its owner has set a new password."""
    rate_limits.forget(PASSWORDS, email)


def _acquire(
    request: HttpRequest, email: str, by_network: tuple[Limit, ...], by_email: Limit
) -> Slots:
    browser = browser_of(request, User.objects.filter(email=email).first())
    where = browser or _network(request)
    return rate_limits.acquire_all(
        *((limit, where) for limit in by_network), (by_email, browser or email)
    )


def _network(request: HttpRequest) -> str:
    return network_of(client_address(request))
