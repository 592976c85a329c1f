"""A model of the rules about privileges, in dictionaries and with nothing else.

A person or a service account is a letter, an account a number. Nothing here knows the portal's
code but its roles.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from accounts.roles import Role

ADMINISTRATORS = Role.ADMINISTRATORS
MOST_SENDINGS = 5
NETWORKS = ("", "10.0.0.0/8", "10.1.0.0/16", "192.0.2.1")
"""The second has the third in it."""
Scopes = frozenset[str] | None
"""What a token is limited to; None for nothing but its role."""
WRITE = "tokens:write"
OWN = frozenset({"tokens:read", WRITE, "users:write"})
"""Scopes that are always there. Others are those of a service that an account has registered."""


class Denied(Exception):
    """The rules forbid it."""


def require(condition: object) -> None:
    if not condition:
        raise Denied


def is_within(scopes: Scopes, limit: Scopes) -> bool:
    """True if a token with these scopes may do no more than the limit allows."""
    return limit is None or (scopes is not None and scopes <= limit)


@dataclass
class Token:
    account: int
    issuer: str
    role: Role
    scopes: Scopes = None
    is_live: bool = True
    rotations: int = 0
    addresses: str = ""
    """The one network that it works from; empty for all."""


class Power(NamedTuple):
    """What a token is good for, and whose it is."""

    issuer: str
    role: Role
    scopes: Scopes
    addresses: str


@dataclass
class Invite:
    account: int
    person: str
    role: Role
    inviter: str
    is_open: bool = True
    times_sent: int = 1


@dataclass
class SignIn:
    """A sign-in through the API: ends with the membership, or when the user is deactivated."""

    account: int
    person: str
    is_live: bool = True


@dataclass(frozen=True)
class Caller:
    """A person who acts in an account, perhaps through a token (by one of its secrets) or a
    sign-in."""

    account: int
    person: str
    token: int | None = None
    secret: int = 0
    scopes: Scopes = None
    sign_in: int | None = None


@dataclass
class Model:
    roles: dict[tuple[int, str], Role] = field(default_factory=dict)
    tokens: dict[int, Token] = field(default_factory=dict)
    invites: dict[int, Invite] = field(default_factory=dict)
    sign_ins: dict[int, SignIn] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    names: dict[tuple[int, str], set[str]] = field(default_factory=dict)
    """Service accounts, and the people whom each of them names."""
    services: dict[int, frozenset[str]] = field(default_factory=dict)
    """Of accounts that have registered a service, its scopes."""

    # Questions

    def is_present(self, account: int, person: str) -> bool:
        return (
            (account, person) in self.roles
            and person not in self.inactive
            and account not in self.closed
        )

    def role_of(self, caller: Caller) -> Role:
        """The role with which the caller acts now. Raises `Denied` if they may not act at all."""
        require(self.is_present(caller.account, caller.person))
        role = self.roles[caller.account, caller.person]
        if caller.sign_in is not None:
            require(self.sign_ins[caller.sign_in].is_live)
        if caller.token is None:
            return role
        token = self.tokens[caller.token]
        require(token.is_live and token.issuer == caller.person)
        require(is_within(caller.scopes, token.scopes))
        return Role.weaker(role, token.role)

    def scopes_of(self, caller: Caller) -> Scopes:
        return None if caller.token is None else self.tokens[caller.token].scopes

    def tokens_of(self, account: int, person: str) -> Iterator[Token]:
        for token in self.tokens.values():
            if token.is_live and (token.account, token.issuer) == (account, person):
                yield token

    def is_last_administrator(self, account: int, person: str) -> bool:
        others = [
            other
            for (where, other), role in self.roles.items()
            if where == account
            and role is ADMINISTRATORS
            and other != person
            and (where, other) not in self.names
        ]
        is_one = self.roles[account, person] is ADMINISTRATORS
        return is_one and all(other in self.inactive for other in others)

    def power(self, token: Token, number: int) -> Power | None:
        """What the token may do by this one of its secrets; None for nothing. The one before the
        present secret goes on for a while."""
        is_good = token.is_live and number >= token.rotations - 1
        if not is_good or not self.is_present(token.account, token.issuer):
            return None
        role = Role.weaker(token.role, self.roles[token.account, token.issuer])
        return Power(token.issuer, role, token.scopes, token.addresses)

    # Actions

    def invite(self, caller: Caller, account: int, person: str, role: Role) -> Invite:
        self._require_administrator(caller, account)
        require((account, person) not in self.roles)
        require(not any(each.person == person for each in self._open(account)))
        return Invite(account, person, role, inviter=caller.person)

    def send_again(self, caller: Caller, invite: Invite) -> None:
        self._require_administrator(caller, invite.account)
        require(invite.is_open and invite.times_sent < MOST_SENDINGS)
        invite.times_sent += 1
        invite.inviter = caller.person

    def withdraw(self, caller: Caller, invite: Invite) -> None:
        self._require_administrator(caller, invite.account)
        invite.is_open = False

    def accept(self, invite: Invite, person: str) -> None:
        require(invite.is_open and person == invite.person and person not in self.inactive)
        require(self.is_present(invite.account, invite.inviter))
        require(self.roles[invite.account, invite.inviter] is ADMINISTRATORS)
        invite.is_open = False
        self.roles[invite.account, person] = invite.role

    def add(self, caller: Caller, account: int, person: str, role: Role) -> None:
        self._require_administrator(caller, account)
        require((account, person) not in self.roles)
        self.roles[account, person] = role
        for each in self._open(account):
            each.is_open = each.person != person

    def change_role(self, caller: Caller, account: int, person: str, role: Role) -> None:
        self._require_administrator(caller, account)
        require((account, person) in self.roles)
        if self.roles[account, person] is role:
            return
        require(not self.is_last_administrator(account, person))
        require(all(role.covers(token.role) for token in self.tokens_of(account, person)))
        if not role.covers(self.roles[account, person]):
            for (where, service), named in self.names.items():
                if where == account and not role.covers(self.roles.get((where, service), role)):
                    named.discard(person)
        self.roles[account, person] = role

    def remove(
        self,
        caller: Caller,
        account: int,
        person: str,
        *,
        delete_tokens: bool,
        hand_over_to: str | None = None,
    ) -> None:
        self._require_administrator(caller, account)
        if (account, person) not in self.roles:
            return
        require(not self.is_last_administrator(account, person))
        if hand_over_to is not None:
            tokens = [
                each for each in self.tokens_of(account, person) if each.issuer != hand_over_to
            ]
            self._require_receiver(account, hand_over_to, tokens)
            self._require_scopes_of(caller, tokens)
            require(hand_over_to != person or not any(self.tokens_of(account, person)))
            for token in tokens:
                token.issuer = hand_over_to
        if delete_tokens:
            self._require_scopes_of(caller, list(self.tokens_of(account, person)))
        self._end(account, person, delete_tokens=delete_tokens)

    def leave(self, caller: Caller, account: int, person: str, *, delete_tokens: bool) -> None:
        self.role_of(caller)
        require(caller.token is None and (caller.account, caller.person) == (account, person))
        self._end(account, person, delete_tokens=delete_tokens)

    def issue(
        self,
        caller: Caller,
        account: int,
        person: str,
        role: Role,
        scopes: Scopes,
        addresses: str = "",
    ) -> Token:
        own_role = self.role_of(caller)
        require(
            (caller.account, caller.person) == (account, person)
            or self._may_issue_for(caller, account, person)
        )
        require(self.is_present(account, person))
        ceiling = self.roles[account, person]
        require(ceiling.covers(role) and (caller.token is None or own_role.covers(role)))
        held = self.scopes_of(caller)
        require(held is None or WRITE in held)
        require(is_within(scopes, held))
        self._require_known(account, scopes)
        self._require_within(caller, addresses)
        return Token(account, person, role, scopes, addresses=addresses)

    def make_service_account(
        self, caller: Caller, account: int, letter: str, role: Role, named: set[str]
    ) -> bool:
        self._require_administrator(caller, account)
        require(all(self.is_present(account, person) for person in named))
        self.roles[account, letter], self.names[account, letter] = role, named
        return True

    def edit_service_account(
        self, caller: Caller, account: int, letter: str, named: set[str], role: Role | None
    ) -> None:
        """Who is named already may stay, also while they are deactivated."""
        self._require_administrator(caller, account)
        require((account, letter) in self.roles)
        before = self.names[account, letter]
        require(all(self.is_present(account, each) or each in before for each in named))
        if role is not None:
            self.change_role(caller, account, letter, role)
        self.names[account, letter] = named

    def put_service(self, caller: Caller, account: int, scopes: frozenset[str]) -> None:
        """Register the account's service, or edit it; without scopes it is removed."""
        self._require_administrator(caller, account)
        held = self.scopes_of(caller)
        require(held is None or WRITE in held)
        gone = self.services.get(account, frozenset()) - scopes
        live = [each for each in self.tokens.values() if each.is_live and each.account == account]
        require(not any(gone & (token.scopes or set()) for token in live))
        self.services[account] = scopes

    def switch_service_account(
        self, caller: Caller, account: int, service: str, *, is_on: bool
    ) -> None:
        self._require_administrator(caller, account)
        require((account, service) in self.roles)
        (self.inactive.discard if is_on else self.inactive.add)(service)

    def hand_over(self, caller: Caller, token: Token, account: int, to: str) -> bool:
        """True if it has another issuer now."""
        self._require_administrator(caller, account)
        is_meant = token.is_live and token.account == account and token.issuer != to
        self._require_receiver(account, to, [token] if is_meant else [])
        self._require_scopes_of(caller, [token] if is_meant else [])
        if is_meant:
            token.issuer = to
        return is_meant

    def delete(self, caller: Caller, token: Token) -> None:
        self._require_manager(caller, token)
        token.is_live = False

    def delete_several(self, caller: Caller, account: int, tokens: list[Token]) -> set[int]:
        """All of them that are there, or none. Returns their places."""
        self.role_of(caller)
        found = {
            place: token
            for place, token in enumerate(tokens)
            if token.is_live and token.account == account
        }
        for token in found.values():
            self._require_manager(caller, token)
        for token in found.values():
            token.is_live = False
        return set(found)

    def edit(self, caller: Caller, token: Token, role: Role, scopes: Scopes) -> None:
        self._require_manager(caller, token)
        require(token.is_live and token.role.covers(role))
        require(is_within(scopes, self.scopes_of(caller)))
        self._require_known(token.account, scopes, kept=token.scopes)
        token.role, token.scopes = role, scopes

    def limit(self, caller: Caller, token: Token, addresses: str) -> None:
        """Let the token work from this network only, or from everywhere."""
        self._require_manager(caller, token)
        require(token.is_live)
        if token.addresses != addresses:
            self._require_within(caller, addresses)
        token.addresses = addresses

    def rotate(self, caller: Caller, token: Token) -> int:
        """The number of the new secret."""
        self._require_manager(caller, token)
        is_itself = caller.token is not None and self.tokens[caller.token] is token
        if not is_itself:
            self._require_within(caller, token.addresses)
        require(not is_itself or caller.secret == token.rotations)
        require(token.is_live)
        token.rotations += 1
        return token.rotations

    def switch(self, caller: Caller, account: int) -> SignIn:
        self.role_of(caller)
        require(caller.sign_in is not None and self.is_present(account, caller.person))
        return SignIn(account, caller.person)

    def set_active(self, person: str, *, is_on: bool) -> None:
        if is_on:
            self.inactive.discard(person)
        else:
            self.inactive.add(person)
            self._end_sign_ins(person)

    def set_open(self, account: int, *, is_open: bool) -> None:
        if is_open:
            self.closed.discard(account)
        else:
            self.closed.add(account)

    # Parts

    def _require_administrator(self, caller: Caller, account: int) -> None:
        require(self.role_of(caller) is ADMINISTRATORS and caller.account == account)

    def _require_manager(self, caller: Caller, token: Token) -> None:
        own_role = self.role_of(caller)
        require(caller.token is None or own_role.covers(token.role))
        self._require_scopes_of(caller, [token])
        owns = (caller.account, caller.person) == (token.account, token.issuer)
        is_named = self._may_issue_for(caller, token.account, token.issuer)
        is_administrator = own_role is ADMINISTRATORS and caller.account == token.account
        require(owns or is_administrator or is_named)

    def _require_scopes_of(self, caller: Caller, tokens: list[Token]) -> None:
        """A token acts on none that may do more than itself."""
        held = self.scopes_of(caller)
        require(not tokens or held is None or WRITE in held)
        require(all(is_within(token.scopes, held) for token in tokens))

    def _require_known(self, account: int, scopes: Scopes, kept: Scopes = None) -> None:
        """What a token has may stay; what it gets there must be."""
        new = (scopes or frozenset()) - (kept or frozenset())
        require(new <= OWN | self.services.get(account, frozenset()))

    def _require_within(self, caller: Caller, addresses: str) -> None:
        """A token lets none work where it does not itself."""
        own = self.tokens[caller.token].addresses if caller.token is not None else ""
        is_smaller = (own, addresses) == (NETWORKS[1], NETWORKS[2])
        require(not own or own == addresses or is_smaller)

    def _may_issue_for(self, caller: Caller, account: int, service: str) -> bool:
        if caller.account != account or (account, service) not in self.names:
            return False
        is_named = caller.person in self.names[account, service]
        return self.role_of(caller) is ADMINISTRATORS or (
            is_named and (account, service) in self.roles
        )

    def _require_receiver(self, account: int, to: str, tokens: list[Token]) -> None:
        require((account, to) in self.roles and to not in self.inactive)
        require(all(self.roles[account, to].covers(token.role) for token in tokens))

    def _open(self, account: int) -> list[Invite]:
        return [each for each in self.invites.values() if each.is_open and each.account == account]

    def _end(self, account: int, person: str, *, delete_tokens: bool) -> None:
        require(not self.is_last_administrator(account, person))
        require(delete_tokens or not any(self.tokens_of(account, person)))
        for token in list(self.tokens_of(account, person)):
            token.is_live = False
        del self.roles[account, person]
        for (where, _service), named in self.names.items():
            if where == account:
                named.discard(person)
        self._end_sign_ins(person, account)

    def _end_sign_ins(self, person: str, account: int | None = None) -> None:
        for each in self.sign_ins.values():
            if each.person == person and account in (None, each.account):
                each.is_live = False
