"""The actor: every service takes one as `by=`, and an entry point makes it from its request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from accounts.models import Account, Membership, User
from accounts.roles import Role


class EntryPoint(StrEnum):
    """An entry point of the portal, as the audit log names it."""

    PORTAL = "portal"
    API = "api"
    ADMIN = "admin"
    COMMAND = "command"
    SYSTEM = "system"


OPERATOR_ENTRY_POINTS = frozenset({EntryPoint.ADMIN, EntryPoint.COMMAND, EntryPoint.SYSTEM})


@dataclass(frozen=True, slots=True)
class Actor:
    """A member of an account (perhaps acting through an API token), or an operator.

    `role` is what the actor may do in `account`: for a token the weaker of its own and its issuer's
    present role. `token_ends_at` is the end of that token, which nothing it creates may outlive;
    `secret_number` says which of its secrets was shown, by how often it had been rotated then, and
    `scopes` what it is limited to (None: to nothing but its role).
    `family_id` is set for a person who acts through a short-lived token (JWT).
    """

    through: EntryPoint
    user: User | None = None
    membership: Membership | None = None
    role: Role | None = None
    token_id: int | None = None
    token_ends_at: datetime | None = None
    secret_number: int = 0
    scopes: frozenset[str] | None = None
    family_id: UUID | None = None
    address: str | None = None

    @classmethod
    def member(cls, membership: Membership, *, address: str | None = None) -> Actor:
        """A person at the portal."""
        return cls(
            through=EntryPoint.PORTAL,
            user=membership.user,
            membership=membership,
            role=membership.held_role,
            address=address,
        )

    @classmethod
    def person(cls, user: User, *, address: str | None = None) -> Actor:
        """A signed-in person at the portal, whichever account they work in, if any."""
        return cls(through=EntryPoint.PORTAL, user=user, address=address)

    @classmethod
    def token(
        cls,
        membership: Membership,
        *,
        token_id: int,
        role: Role,
        ends_at: datetime | None,
        secret_number: int = 0,
        scopes: str | None = None,
        address: str | None = None,
    ) -> Actor:
        """An API token, acting for its issuer and never beyond them."""
        return cls(
            through=EntryPoint.API,
            user=membership.user,
            membership=membership,
            role=Role.weaker(role, membership.held_role),
            token_id=token_id,
            token_ends_at=ends_at,
            secret_number=secret_number,
            scopes=None if scopes is None else frozenset(scopes.split()),
            address=address,
        )

    @classmethod
    def bearer(
        cls, membership: Membership, *, family_id: UUID, address: str | None = None
    ) -> Actor:
        """A person who acts through a short-lived token (JWT): with their own role."""
        return cls(
            through=EntryPoint.API,
            user=membership.user,
            membership=membership,
            role=membership.held_role,
            family_id=family_id,
            address=address,
        )

    @classmethod
    def operator(
        cls, *, through: EntryPoint, user: User | None = None, address: str | None = None
    ) -> Actor:
        """An operator of the portal: a staff user in the Django admin, or the command line."""
        if through not in OPERATOR_ENTRY_POINTS:
            raise ValueError(f"Operators do not use the entry point {through}.")
        return cls(through=through, user=user, address=address)

    @property
    def account(self) -> Account | None:
        return self.membership.account if self.membership else None

    @property
    def is_operator(self) -> bool:
        """True at operators' entry points only: a person without an account is no operator."""
        return self.membership is None and self.through in OPERATOR_ENTRY_POINTS

    def has_scope(self, scope: str) -> bool:
        """True for everybody but a token that is limited to other scopes."""
        return self.scopes is None or scope in self.scopes

    def covers_scopes(self, scopes: str | None) -> bool:
        """True if the actor may do all that these scopes (None: a whole role) let a token do."""
        return self.scopes is None or (scopes is not None and self.scopes >= set(scopes.split()))

    def is_administrator_of(self, account_id: int) -> bool:
        """True for an Administrator (or Administrators token) of exactly this account."""
        return (
            self.membership is not None
            and self.membership.account_id == account_id
            and self.role is Role.ADMINISTRATORS
        )

    def is_member(self, membership: Membership) -> bool:
        """True if the actor is this member, in person or through a token."""
        return self.membership is not None and self.membership.pk == membership.pk
