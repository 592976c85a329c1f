"""A good token, as the portal describes it."""

import time
from dataclasses import dataclass
from typing import Any

ROLES = (
    "Administrators",
    "Engineers",
    "Purge and Prefetch only (API+Web)",
    "Purge and Prefetch only (API)",
    "Users",
)
"""The portal's roles, strongest first."""


@dataclass(frozen=True, slots=True)
class Token:
    """Whose a token is, and what it may do."""

    account: int
    user_id: int
    email: str
    role: str
    id: int | None = None
    """None for a short-lived token."""
    scopes: frozenset[str] | None = None
    """What it is limited to; None if it can do all that its role allows."""
    expires_at: int | None = None
    """Seconds since 1970."""
    allowed_addresses: tuple[str, ...] = ()
    """The addresses and networks that it works from; none if it works from everywhere."""

    @classmethod
    def read(cls, members: dict[str, Any]) -> "Token":
        """Read the answer of the portal. Raises `KeyError`, `TypeError` or `ValueError`."""
        return cls(
            account=int(members["account"]),
            user_id=int(members["sub"]),
            email=str(members["username"]),
            role=str(members["role"]["name"]),
            id=int(members["jti"]) if "jti" in members else None,
            scopes=frozenset(str(members["scope"]).split()) if "scope" in members else None,
            expires_at=int(members["exp"]) if "exp" in members else None,
            allowed_addresses=tuple(map(str, members.get("allowed_addresses", ()))),
        )

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= time.time()

    def has_scope(self, scope: str) -> bool:
        """Whether it may do this, as far as scopes are concerned."""
        return self.scopes is None or scope in self.scopes

    def covers(self, role: str) -> bool:
        """Whether its role is this one or a stronger one. A role that is unknown here covers
        nothing."""
        return self.role in ROLES and ROLES.index(self.role) <= ROLES.index(role)
