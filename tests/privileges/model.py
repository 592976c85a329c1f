"""Who may do what to whom, in dictionaries: the rules of the product once more, with nothing else.

Everybody is a letter, every account a number. Nothing here knows the portal's code but its roles.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from accounts.roles import Role

ADMINISTRATORS = Role.ADMINISTRATORS
MOST_SENDINGS = 5


class No(Exception):
    """The rules do not allow it."""


def need(condition: object) -> None:
    if not condition:
        raise No


@dataclass
class Token:
    account: int
    issuer: str
    role: Role
    is_live: bool = True


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
    """A sign-in through the API: ends with the membership, or when the person is switched off."""

    account: int
    person: str
    is_live: bool = True


@dataclass(frozen=True)
class Who:
    """Somebody who acts: a person in an account, perhaps through a token or a sign-in."""

    account: int
    person: str
    token: int | None = None
    sign_in: int | None = None


@dataclass
class Model:
    roles: dict[tuple[int, str], Role] = field(default_factory=dict)
    tokens: dict[int, Token] = field(default_factory=dict)
    invites: dict[int, Invite] = field(default_factory=dict)
    sign_ins: dict[int, SignIn] = field(default_factory=dict)
    switched_off: set[str] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)

    # Questions

    def is_present(self, account: int, person: str) -> bool:
        return (
            (account, person) in self.roles
            and person not in self.switched_off
            and account not in self.closed
        )

    def power(self, who: Who) -> Role:
        """The role with which somebody acts now. Refuses whoever may not act at all."""
        need(self.is_present(who.account, who.person))
        role = self.roles[who.account, who.person]
        if who.sign_in is not None:
            need(self.sign_ins[who.sign_in].is_live)
        if who.token is None:
            return role
        token = self.tokens[who.token]
        need(token.is_live)
        return Role.weaker(role, token.role)

    def tokens_of(self, account: int, person: str) -> Iterator[Token]:
        for token in self.tokens.values():
            if token.is_live and (token.account, token.issuer) == (account, person):
                yield token

    def is_last_administrator(self, account: int, person: str) -> bool:
        others = [
            other
            for (where, other), role in self.roles.items()
            if where == account and role is ADMINISTRATORS and other != person
        ]
        is_one = self.roles[account, person] is ADMINISTRATORS
        return is_one and all(other in self.switched_off for other in others)

    # Deeds

    def invite(self, who: Who, account: int, person: str, role: Role) -> Invite:
        self._need_administrator(who, account)
        need((account, person) not in self.roles)
        need(not any(each.person == person for each in self._open(account)))
        return Invite(account, person, role, inviter=who.person)

    def send_again(self, who: Who, invite: Invite) -> None:
        self._need_administrator(who, invite.account)
        need(invite.is_open and invite.times_sent < MOST_SENDINGS)
        invite.times_sent += 1
        invite.inviter = who.person

    def withdraw(self, who: Who, invite: Invite) -> None:
        self._need_administrator(who, invite.account)
        invite.is_open = False

    def accept(self, invite: Invite, person: str) -> None:
        need(invite.is_open and person == invite.person and person not in self.switched_off)
        need(self.is_present(invite.account, invite.inviter))
        need(self.roles[invite.account, invite.inviter] is ADMINISTRATORS)
        invite.is_open = False
        self.roles[invite.account, person] = invite.role

    def add(self, who: Who, account: int, person: str, role: Role) -> None:
        self._need_administrator(who, account)
        need((account, person) not in self.roles)
        self.roles[account, person] = role
        for each in self._open(account):
            each.is_open = each.person != person

    def change_role(self, who: Who, account: int, person: str, role: Role) -> None:
        self._need_administrator(who, account)
        need((account, person) in self.roles)
        if self.roles[account, person] is role:
            return
        need(not self.is_last_administrator(account, person))
        need(all(role.covers(token.role) for token in self.tokens_of(account, person)))
        self.roles[account, person] = role

    def remove(self, who: Who, account: int, person: str, *, delete_tokens: bool) -> None:
        self._need_administrator(who, account)
        if (account, person) in self.roles:
            self._end(account, person, delete_tokens=delete_tokens)

    def leave(self, who: Who, account: int, person: str, *, delete_tokens: bool) -> None:
        self.power(who)
        need(who.token is None and (who.account, who.person) == (account, person))
        self._end(account, person, delete_tokens=delete_tokens)

    def issue(self, who: Who, account: int, person: str, role: Role) -> Token:
        power = self.power(who)
        need((who.account, who.person) == (account, person) and power.covers(role))
        return Token(account, person, role)

    def delete(self, who: Who, token: Token) -> None:
        power = self.power(who)
        need(who.token is None or power.covers(token.role))
        owns = (who.account, who.person) == (token.account, token.issuer)
        need(owns or (power is ADMINISTRATORS and who.account == token.account))
        token.is_live = False

    def switch(self, who: Who, account: int) -> SignIn:
        self.power(who)
        need(who.sign_in is not None and self.is_present(account, who.person))
        return SignIn(account, who.person)

    def switch_user(self, person: str, *, is_on: bool) -> None:
        if is_on:
            self.switched_off.discard(person)
        else:
            self.switched_off.add(person)
            self._end_sign_ins(person)

    def switch_account(self, account: int, *, is_open: bool) -> None:
        if is_open:
            self.closed.discard(account)
        else:
            self.closed.add(account)

    # Parts

    def _need_administrator(self, who: Who, account: int) -> None:
        need(self.power(who) is ADMINISTRATORS and who.account == account)

    def _open(self, account: int) -> list[Invite]:
        return [each for each in self.invites.values() if each.is_open and each.account == account]

    def _end(self, account: int, person: str, *, delete_tokens: bool) -> None:
        need(not self.is_last_administrator(account, person))
        need(delete_tokens or not any(self.tokens_of(account, person)))
        for token in list(self.tokens_of(account, person)):
            token.is_live = False
        del self.roles[account, person]
        self._end_sign_ins(person, account)

    def _end_sign_ins(self, person: str, account: int | None = None) -> None:
        for each in self.sign_ins.values():
            if each.person == person and account in (None, each.account):
                each.is_live = False
