"""A state machine: everybody does everything in any order, with credentials of any time, and the
portal must agree with the model about every single action."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.jwt import token_families
from accounts.members import services as members
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Role
from accounts.service_accounts import services as service_accounts
from accounts.users import services as user_services
from apitokens.models import APIToken, Scope, Service
from apitokens.scopes import services as registry
from apitokens.scopes.services import ScopeFacts
from apitokens.tokens import editing, rotation
from apitokens.tokens import services as tokens
from apitokens.tokens.handover import hand_over
from tests.factories import AccountFactory, UserFactory, service_account
from tests.privileges.model import NETWORKS, OWN, Caller, Denied, Invite, Model, SignIn

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
REFUSED = (PermissionDenied, ValidationError, token_families.NoSuchAccount, Denied)
ACCOUNTS, PEOPLE, SERVICE = (0, 1), "abcd", "s"
ISSUERS = f"{PEOPLE}{SERVICE}"
ACTIONS = [
    *("issue", "issue", "switch_account", "invite", "accept", "accept", "send_again", "withdraw"),
    *("add", "change_role", "remove", "leave", "delete_token", "edit_token", "rotate_token"),
    "delete_tokens",
    *("hand_over", "hand_over", "issue_for_service", "name", "switch_service", "limit_token"),
    *("put_service", "put_service"),
]
T = TypeVar("T")
Credential = tuple[Caller, Actor]

accounts = st.sampled_from(ACCOUNTS)
people = st.sampled_from(PEOPLE)
issuers = st.sampled_from(ISSUERS)
roles = st.sampled_from(Role)
networks = st.sampled_from(NETWORKS)
service_scopes = ["cdn:purge", "cdn:read"]
some_scopes = st.frozensets(st.sampled_from([*sorted(OWN), *service_scopes]), min_size=1)
scopes_or_all = st.sampled_from([None, frozenset({"tokens:write"})]) | some_scopes
mostly = st.sampled_from([True, True, True, False])

BEGINNING = [
    (0, "a", Role.ADMINISTRATORS),
    (1, "b", Role.ADMINISTRATORS),
    (0, "b", Role.ADMINISTRATORS),
    (0, "c", Role.ENGINEERS),
]


class Portal(RuleBasedStateMachine):
    """Two accounts, two Administrators, one of them in both, an Engineer, and a user in neither.
    The first account has a service account.

    `credentials` are created once and used at any later time: a request that began earlier acts
    with old ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.model = Model()
        self.at: datetime = timezone.now()
        self.accounts: dict[int, Account] = {}
        self.people: dict[str, User] = {}
        self.credentials: list[Credential] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    @initialize()
    def open_accounts(self) -> None:
        self.accounts = {number: AccountFactory.create() for number in ACCOUNTS}
        self.people = {letter: UserFactory.create() for letter in PEOPLE}
        for number, letter, role in BEGINNING:
            members.add_member(
                account=self.accounts[number],
                user=self.people[letter],
                role=role,
                by=OPERATOR,
                at=self.at,
            )
            self.model.roles[number, letter] = role
        self.service = service_account(self.accounts[0], at=self.at, role=Role.ENGINEERS)
        self.people[SERVICE] = self.service.membership.user
        self.model.roles[0, SERVICE] = Role.ENGINEERS
        self.model.names[0, SERVICE] = set()
        self._put_service(self.accounts[0], frozenset(service_scopes), OPERATOR)
        self.model.services[0] = frozenset(service_scopes)
        self.credentials = [self._portal(number, letter) for number, letter, _role in BEGINNING]

    # Credentials

    @rule(data=st.data(), through_api=st.booleans())
    def sign_in(self, data: st.DataObject, through_api: bool) -> None:
        """A member opens the portal, or gets a short-lived token."""
        present = [
            pair
            for pair in sorted(self.model.roles)
            if self.model.is_present(*pair) and pair[1] != SERVICE
        ]
        if not present:
            return
        account, person = data.draw(st.sampled_from(present))
        if not through_api:
            self.credentials.append(self._portal(account, person))
            return
        by = Actor.person(self.people[person])
        pair = token_families.begin(membership=self._member(account, person), by=by, at=self.at)
        self.credentials.append(self._bearer(SignIn(account, person), pair))

    # Actions

    @rule(actions=st.lists(st.sampled_from(ACTIONS), min_size=3, max_size=12), data=st.data())
    def work(self, actions: list[str], data: st.DataObject) -> None:
        """A caller does a few things, mostly in the account that they work in."""
        caller, by = data.draw(st.sampled_from(self.credentials))
        for action in actions:
            account = caller.account if data.draw(mostly) else data.draw(accounts)
            getattr(self, action)(caller, by, account, data)

    def switch_account(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        """The caller exchanges a short-lived token for one of another account."""
        wanted = data.draw(accounts)
        sign_in, pair = self.both(
            lambda: self.model.switch(caller, wanted),
            lambda: token_families.switch(account_id=self.accounts[wanted].pk, by=by, at=self.at),
        )
        if sign_in and pair:
            self.credentials.append(self._bearer(sign_in, pair))

    def issue(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        """The caller issues an API token, mostly for themselves, and it acts from now on."""
        person = caller.person if data.draw(mostly) else data.draw(issuers)
        self._issue(caller, by, account, person, data)

    def issue_for_service(
        self, caller: Caller, by: Actor, _account: int, data: st.DataObject
    ) -> None:
        """The caller issues an API token for the service account, and it acts from now on."""
        self._issue(caller, by, 0, SERVICE, data)

    def _issue(
        self, caller: Caller, by: Actor, account: int, person: str, data: st.DataObject
    ) -> None:
        role, scopes = data.draw(roles), data.draw(scopes_or_all)
        addresses = "" if data.draw(mostly) else data.draw(networks)
        if (issuer := self._any_member(account, person)) is None:
            return
        expected, issued = self.both(
            lambda: self.model.issue(caller, account, person, role, scopes, addresses),
            lambda: tokens.issue(
                by=by,
                issuer=issuer,
                name="Token",
                role=role,
                expires_at=None,
                scopes=scopes,
                allowed_addresses=addresses.split(),
                at=self.at,
            ),
        )
        if expected and issued:
            pk = issued.token.pk
            self.model.tokens[pk] = expected
            actor = Actor.token(
                self._member(account, person),
                token_id=pk,
                role=role,
                ends_at=None,
                scopes=issued.token.scopes,
            )
            self.credentials.append((Caller(account, person, token=pk, scopes=scopes), actor))

    def invite(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        outside = [each for each in PEOPLE if (account, each) not in self.model.roles]
        wanted = outside if data.draw(mostly) and outside else list(PEOPLE)
        person = data.draw(st.sampled_from(wanted))
        role = data.draw(roles)
        expected, made = self.both(
            lambda: self.model.invite(caller, account, person, role),
            lambda: invitations.invite(
                account=self.accounts[account],
                email=self.people[person].email.upper(),
                role=role,
                by=by,
                at=self.at,
            ),
        )
        if expected and made:
            self.model.invites[made.pk] = expected

    def accept(self, _caller: Caller, _by: Actor, _account: int, data: st.DataObject) -> None:
        """A person opens an invitation's link, mostly the one it was sent to."""
        if (chosen := self._choose_invite(data)) is None:
            return
        invite, invitation = chosen
        person = invite.person if data.draw(mostly) else data.draw(people)
        user = self.people[person]
        self.both(
            lambda: self.model.accept(invite, person),
            lambda: invitations.accept(
                invitation=invitation, user=user, by=Actor.person(user), at=self.at
            ),
        )

    def send_again(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        if (chosen := self._choose_invite(data)) is not None:
            self.both(
                lambda: self.model.send_again(caller, chosen[0]),
                lambda: invitations.send_again(invitation=chosen[1], by=by, at=self.at),
            )

    def withdraw(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        if (chosen := self._choose_invite(data)) is not None:
            self.both(
                lambda: self.model.withdraw(caller, chosen[0]),
                lambda: invitations.withdraw(invitation=chosen[1], by=by, at=self.at),
            )

    def add(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        person, role = data.draw(people), data.draw(roles)
        self.both(
            lambda: self.model.add(caller, account, person, role),
            lambda: members.add_member(
                account=self.accounts[account],
                user=self.people[person],
                role=role,
                by=by,
                at=self.at,
            ),
        )

    def change_role(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        person, role = data.draw(issuers), data.draw(roles)
        if (member := self._any_member(account, person)) is not None:
            self.both(
                lambda: self.model.change_role(caller, account, person, role),
                lambda: members.change_role(membership=member, role=role, by=by, at=self.at),
            )

    def remove(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        person = data.draw(people) if data.draw(mostly) else data.draw(issuers)
        delete_tokens = data.draw(st.booleans())
        to = data.draw(st.sampled_from([None, *ISSUERS]))
        receiver = self._any_member(account, to) if to else None
        if (member := self._any_member(account, person)) is None or (to and not receiver):
            return
        before = [pk for pk, token in self.model.tokens.items() if token.is_live]
        issued = {pk: self.model.tokens[pk].issuer for pk in before}
        self.both(
            lambda: self.model.remove(
                caller, account, person, delete_tokens=delete_tokens, hand_over_to=to
            ),
            lambda: members.remove_member(
                membership=member,
                delete_tokens=delete_tokens,
                hand_over_to=receiver,
                by=by,
                at=self.at,
            ),
        )
        for pk in before:
            if self.model.tokens[pk].issuer != issued[pk]:
                self._use(pk)

    def leave(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        person = caller.person if data.draw(mostly) else data.draw(people)
        delete_tokens = data.draw(st.booleans())
        if (member := self._any_member(account, person)) is not None:
            self.both(
                lambda: self.model.leave(caller, account, person, delete_tokens=delete_tokens),
                lambda: members.leave_account(
                    membership=member, delete_tokens=delete_tokens, by=by, at=self.at
                ),
            )

    def delete_token(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        if not self.model.tokens:
            return
        pk = data.draw(st.sampled_from(list(self.model.tokens)))
        self.both(
            lambda: self.model.delete(caller, self.model.tokens[pk]),
            lambda: tokens.delete(token=APIToken.objects.get(pk=pk), by=by, at=self.at),
        )

    def delete_tokens(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        """The caller deletes several tokens of an account, all or none."""
        if not self.model.tokens:
            return
        pks = data.draw(st.lists(st.sampled_from(list(self.model.tokens)), max_size=3, unique=True))
        expected, deleted = self.both(
            lambda: self.model.delete_several(
                caller, account, [self.model.tokens[pk] for pk in pks]
            ),
            lambda: tokens.delete_selected(
                account=self.accounts[account], token_ids=pks, by=by, at=self.at
            ),
        )
        if expected is not None:
            assert {token.pk for token in deleted} == {pks[place] for place in expected}

    def edit_token(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        """The caller gives a token another role and other scopes."""
        if not self.model.tokens:
            return
        pk, role = data.draw(st.sampled_from(list(self.model.tokens))), data.draw(roles)
        token, scopes = APIToken.objects.get(pk=pk), data.draw(scopes_or_all)
        self.both(
            lambda: self.model.edit(caller, self.model.tokens[pk], role, scopes),
            lambda: editing.edit(
                token=token, changes={"role": role, "scopes": scopes}, by=by, at=self.at
            ),
        )

    def limit_token(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        """The caller limits a token to a network, or lifts its limit."""
        if not self.model.tokens:
            return
        pk, wanted = data.draw(st.sampled_from(list(self.model.tokens))), data.draw(networks)
        token = APIToken.objects.get(pk=pk)
        changes: editing.Changes = {"allowed_addresses": wanted.split()}
        self.both(
            lambda: self.model.limit(caller, self.model.tokens[pk], wanted),
            lambda: editing.edit(token=token, changes=changes, by=by, at=self.at),
        )

    def rotate_token(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        """The caller rotates a token, and acts by its new secret from now on, too."""
        if not self.model.tokens:
            return
        pk = data.draw(st.sampled_from(list(self.model.tokens)))
        token = APIToken.objects.get(pk=pk)
        number, rotated = self.both(
            lambda: self.model.rotate(caller, self.model.tokens[pk]),
            lambda: rotation.rotate(token=token, by=by, at=self.at),
        )
        if number and rotated:
            about = self.model.tokens[pk]
            member = self._member(about.account, about.issuer)
            actor = Actor.token(
                member,
                token_id=pk,
                role=about.role,
                ends_at=None,
                secret_number=number,
                scopes=rotated.token.scopes,
            )
            new = Caller(about.account, about.issuer, pk, number, about.scopes)
            self.credentials.append((new, actor))

    def hand_over(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        """The caller hands a token over, and it acts for the receiver from now on."""
        if not self.model.tokens:
            return
        pk, to = data.draw(st.sampled_from(list(self.model.tokens))), data.draw(issuers)
        if (receiver := self._any_member(account, to)) is None:
            return
        is_done, _handed = self.both(
            lambda: self.model.hand_over(caller, self.model.tokens[pk], account, to),
            lambda: hand_over(
                account=self.accounts[account], token_ids=[pk], to=receiver, by=by, at=self.at
            ),
        )
        if is_done:
            self._use(pk)

    def name(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        """The caller says who may issue tokens for the service account."""
        named = data.draw(st.sets(people, max_size=2))
        found = {letter: self._any_member(0, letter) for letter in named}
        chosen = [member for member in found.values() if member is not None]
        if len(chosen) == len(named):
            self.both(
                lambda: self.model.name(caller, 0, SERVICE, named),
                lambda: service_accounts.edit(
                    service_account=self.service, changes={"issuers": chosen}, by=by, at=self.at
                ),
            )

    def switch_service(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        is_on = data.draw(mostly)
        self.both(
            lambda: self.model.switch_service(caller, 0, SERVICE, is_on=is_on),
            lambda: service_accounts.switch(
                service_account=self.service, is_on=is_on, by=by, at=self.at
            ),
        )

    def put_service(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        """The caller registers a service, gives it other scopes, or removes it."""
        scopes = data.draw(st.frozensets(st.sampled_from(service_scopes)))
        if scopes or self.model.services.get(account):
            self.both(
                lambda: self.model.put_service(caller, account, scopes),
                lambda: self._put_service(self.accounts[account], scopes, by),
            )

    # Actions of operators

    @rule(person=people, account=accounts, is_user=st.booleans(), is_on=mostly)
    def switch_user_or_account(self, person: str, account: int, is_user: bool, is_on: bool) -> None:
        """An operator deactivates or reactivates a user, or closes or reopens an account."""
        if is_user:
            service = user_services.reactivate_user if is_on else user_services.deactivate_user
            service(user=self.people[person], by=OPERATOR, at=self.at)
            self.model.set_active(person, is_on=is_on)
        else:
            change = account_services.reopen_account if is_on else account_services.close_account
            change(account=self.accounts[account], by=OPERATOR, at=self.at)
            self.model.set_open(account, is_open=is_on)

    # Invariants after every action

    @invariant()
    def memberships_are_those_of_the_model(self) -> None:
        number = {account.pk: each for each, account in self.accounts.items()}
        letter = {user.pk: each for each, user in self.people.items()}
        present = Membership.everyone.filter(removed_at=None)
        assert {
            (number[member.account_id], letter[member.user_id]): member.held_role
            for member in present
        } == self.model.roles

    @invariant()
    def live_tokens_are_those_of_the_model_and_never_above_their_issuer(self) -> None:
        live = APIToken.objects.active(self.at).select_related("issuer")
        assert {
            token.pk: (token.held_role, _scopes(token), token.allowed_addresses) for token in live
        } == {
            pk: (token.role, token.scopes, token.addresses)
            for pk, token in self.model.tokens.items()
            if token.is_live
        }
        for token in live:
            assert not token.issuer.is_removed
            assert token.issuer.held_role.covers(token.held_role)

    @invariant()
    def scopes_of_live_tokens_are_those_that_their_account_knows(self) -> None:
        known = {
            number: {str(scope) for scope in Scope.objects.filter(service__account=account)}
            for number, account in self.accounts.items()
        }
        assert known == {number: set(self.model.services.get(number, ())) for number in known}
        for token in self.model.tokens.values():
            assert not token.is_live or (token.scopes or set()) <= OWN | known[token.account]

    @invariant()
    def every_account_has_an_administrator(self) -> None:
        for account in self.accounts.values():
            assert Membership.objects.filter(
                account=account, removed_at=None, role=Role.ADMINISTRATORS
            ).exists()

    # Parts

    def both(self, expected: Callable[[], T], act: Callable[[], Any]) -> tuple[T | None, Any]:
        """Let the model and the portal act; they must agree whether it is allowed."""
        wanted, may = _try(expected)
        got, did = _try(act)
        assert may == did, f"the model says {may}, the portal {did}"
        return wanted, got

    def _put_service(self, account: Account, scopes: frozenset[str], by: Actor) -> None:
        present = Service.objects.filter(account=account).first()
        facts = [ScopeFacts(each.partition(":")[2], "A scope") for each in sorted(scopes)]
        if present is None:
            registry.register(
                account=account, code="cdn", name="CDN", scopes=facts, by=by, at=self.at
            )
        elif facts:
            registry.edit(service=present, name="CDN", scopes=facts, by=by, at=self.at)
        else:
            registry.remove(service=present, by=by, at=self.at)

    def _portal(self, account: int, person: str) -> Credential:
        return Caller(account, person), Actor.member(self._member(account, person))

    def _member(self, account: int, person: str) -> Membership:
        return Membership.everyone.select_related("user", "account").get(
            account=self.accounts[account], user=self.people[person]
        )

    def _any_member(self, account: int, person: str) -> Membership | None:
        """Also one who was removed: old pages still show them."""
        found = Membership.everyone.select_related("user", "account")
        return found.filter(account=self.accounts[account], user=self.people[person]).first()

    def _use(self, pk: int) -> None:
        """The token acts for its present issuer from now on, by its newest secret."""
        about = self.model.tokens[pk]
        number = about.rotations
        actor = Actor.token(
            self._member(about.account, about.issuer),
            token_id=pk,
            role=about.role,
            ends_at=None,
            secret_number=number,
            scopes=None if about.scopes is None else " ".join(about.scopes),
        )
        caller = Caller(about.account, about.issuer, pk, number, about.scopes)
        self.credentials.append((caller, actor))

    def _choose_invite(self, data: st.DataObject) -> tuple[Invite, Invitation] | None:
        """Mostly an open one, if there is one."""
        invites = self.model.invites
        is_open = [pk for pk in invites if invites[pk].is_open]
        choice = is_open if data.draw(mostly) and is_open else list(invites)
        if not choice:
            return None
        pk = data.draw(st.sampled_from(choice))
        return invites[pk], Invitation.objects.get(pk=pk)

    def _bearer(self, sign_in: SignIn, pair: Any) -> Credential:
        actor = token_families.authenticate_access_token(pair.access, at=self.at, address=None)
        number = len(self.model.sign_ins)
        self.model.sign_ins[number] = sign_in
        return Caller(sign_in.account, sign_in.person, sign_in=number), actor


def _scopes(token: APIToken) -> frozenset[str] | None:
    held = token.held_scopes
    return None if held is None else frozenset(held)


def _try(act: Callable[[], T]) -> tuple[T | None, bool]:
    try:
        return act(), True
    except REFUSED:
        return None, False
