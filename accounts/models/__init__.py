"""Models of users, accounts, memberships, service accounts, invitations, token families and audit
events."""

from accounts.models.account import (
    TOKEN_LIMIT_DEFAULT,
    TOKEN_LIMIT_HIGHEST,
    Account,
    Membership,
    MembershipQuerySet,
)
from accounts.models.audit_event import AuditEvent, AuditEventQuerySet, AuditPruning
from accounts.models.invitation import Invitation, InvitationQuerySet, draw_nonce
from accounts.models.service_account import (
    ContactStatus,
    ServiceAccount,
    ServiceAccountQuerySet,
)
from accounts.models.token_family import TokenFamily, TokenFamilyQuerySet
from accounts.models.user import (
    Language,
    User,
    UserManager,
    full_name,
    unused_id,
    validate_time_zone,
)

__all__ = [
    "TOKEN_LIMIT_DEFAULT",
    "TOKEN_LIMIT_HIGHEST",
    "Account",
    "AuditEvent",
    "AuditEventQuerySet",
    "AuditPruning",
    "ContactStatus",
    "Invitation",
    "InvitationQuerySet",
    "Language",
    "Membership",
    "MembershipQuerySet",
    "ServiceAccount",
    "ServiceAccountQuerySet",
    "TokenFamily",
    "TokenFamilyQuerySet",
    "User",
    "UserManager",
    "draw_nonce",
    "full_name",
    "unused_id",
    "validate_time_zone",
]
