"""Models of API tokens, their uses and expiry notices, services and scopes, and of verification."""

from accounts.random_ids import draw_id  # by this name a migration knows it
from apitokens.models.expiry_notice import ExpiryNotice
from apitokens.models.preferences import Density, ListPreferences
from apitokens.models.scopes import (
    CODE,
    LONGEST_CODE,
    Scope,
    Service,
    ServiceQuerySet,
    translated,
    validate_code,
)
from apitokens.models.token import (
    EXPIRES_SOON,
    APIToken,
    APITokenQuerySet,
    OldSecret,
    Status,
    status_at,
)
from apitokens.models.usage import AccountUseDay, TokenAddress, TokenUseDay, TokenUseSum
from apitokens.models.verification import PepperCheck, VerifierKey, VerifyingHost

__all__ = [
    "CODE",
    "EXPIRES_SOON",
    "LONGEST_CODE",
    "APIToken",
    "APITokenQuerySet",
    "AccountUseDay",
    "Density",
    "ExpiryNotice",
    "ListPreferences",
    "OldSecret",
    "PepperCheck",
    "Scope",
    "Service",
    "ServiceQuerySet",
    "Status",
    "TokenAddress",
    "TokenUseDay",
    "TokenUseSum",
    "VerifierKey",
    "VerifyingHost",
    "draw_id",
    "status_at",
    "translated",
    "validate_code",
]
