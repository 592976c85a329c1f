"""Signs short-lived tokens (JWT), and verifies signature and expiration without the database."""

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac
from django.views.decorators.debug import sensitive_variables
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import (
    ExpiredTokenError,
    TokenBackendError,
    TokenBackendExpiredToken,
    TokenError,
)
from rest_framework_simplejwt.tokens import Token

from accounts.models import TokenFamily
from accounts.validators import is_id

LONGEST = 512
"""Characters; ours have some 330. Longer text is not parsed: its header is JSON that anybody can
write, and could be nested too deeply for a parser."""


class Invalid(Exception):
    """The text is no token of ours, not of this type, or expired."""

    is_guess = True
    """Nobody of ours has signed it."""


class Ended(Invalid):
    """We have signed it, but it is good no more: its sender guesses nothing."""

    is_guess = False


class Pair(NamedTuple):
    """An access token, and the refresh token that gets the next pair."""

    access: str
    refresh: str


class Claims(NamedTuple):
    """The claims of a token; only the database knows whether they still hold."""

    family: UUID
    membership: int
    jti: UUID


class KeyRing(TokenBackend):
    """Signs with the newest secret, and verifies with older ones too."""

    def __init__(self, *secrets: str) -> None:
        keys = [_key(secret) for secret in secrets]
        super().__init__("HS256", keys[0])
        self.backends = [TokenBackend("HS256", key) for key in keys]

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        for backend in self.backends:
            try:
                return backend.decode(token, verify)
            except TokenBackendExpiredToken:
                raise
            except TokenBackendError:
                continue
        raise TokenBackendError("No key of ours has signed this.")


class _OurToken(Token):
    @property
    def token_backend(self) -> TokenBackend:
        return _ring(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


class Access(_OurToken):
    token_type = "access"  # noqa: S105  # the claim's value, no secret
    lifetime = settings.JWT_ACCESS_LIFETIME


class Refresh(_OurToken):
    token_type = "refresh"  # noqa: S105  # the claim's value, no secret
    lifetime = settings.JWT_REFRESH_LIFETIME


@sensitive_variables()
def sign(family: TokenFamily, *, at: datetime) -> Pair:
    """A pair for the family; its refresh token is the current one."""
    return Pair(
        access=str(_set_claims(Access(), family, at=at)),
        refresh=str(_set_claims(Refresh(), family, at=at, jti=family.current_refresh)),
    )


@sensitive_variables()
def read(text: str, kind: type[Access | Refresh]) -> Claims:
    """The claims of a token of this type with a valid signature and time. Raises `Invalid`, or
    `Ended` for one that has nothing but a valid signature."""
    if len(text) > LONGEST or not text.isascii():
        raise Invalid
    try:
        token = kind(text)  # type: ignore[arg-type]  # the text is what simplejwt means by a token
    except TokenError as error:
        is_signed = isinstance(error, ExpiredTokenError)
        is_signed = is_signed or not isinstance(error.__cause__, TokenBackendError)
        raise (Ended if is_signed else Invalid) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Invalid from None
    try:
        claims = Claims(UUID(token["family"]), token["membership"], UUID(token["jti"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Ended from None
    if type(claims.membership) is not int or not is_id(claims.membership):
        raise Ended
    return claims


def _set_claims(
    token: Token, family: TokenFamily, *, at: datetime, jti: UUID | None = None
) -> Token:
    token["family"], token["membership"] = family.pk.hex, family.membership_id
    token["jti"] = jti.hex if jti else token["jti"]
    token.set_iat(at_time=at)
    token.set_exp(from_time=at)
    return token


def _key(secret: str) -> str:
    """A key for this purpose alone: nothing else signed with the secret can pass for a token."""
    return salted_hmac("accounts.jwt", "key", secret=secret, algorithm="sha256").hexdigest()


@lru_cache(maxsize=8)
def _ring(*secrets: str) -> KeyRing:
    return KeyRing(*secrets)
