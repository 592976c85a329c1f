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
from accounts.models import Account, Invitation, Membership, ServiceAccount, User
from accounts.roles import Role
from accounts.service_accounts import services as service_accounts
from accounts.users import services as user_services
from apitokens.keys import Key
from apitokens.models import APIToken, Scope, Service
from apitokens.scopes import services as registry
from apitokens.scopes.services import ScopeFacts
from apitokens.tokens import editing, rotation
from apitokens.tokens import services as tokens
from apitokens.tokens.handover import hand_over
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify
from tests.factories import AccountFactory, UserFactory, service_account
from tests.privileges.model import (
    NETWORKS,
    OWN,
    Caller,
    Denied,
    Invite,
    Model,
    Power,
    SignIn,
)

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
REFUSED = (PermissionDenied, ValidationError, token_families.NoSuchAccount, Denied)
ACCOUNTS, PEOPLE, SERVICES = (0, 1), "abcd", "stuvwxyz"
ACTIONS = [
    *("issue", "issue", "switch_account", "invite", "accept", "accept", "send_again", "withdraw"),
    *("add", "change_role", "remove", "leave", "delete_token", "edit_token", "rotate_token"),
    "delete_tokens",
    *("hand_over", "hand_over_to_service", "hand_over_from_service", "limit_token"),
    *("make_service_account", "edit_service_account", "name", "name", "issue_for_service"),
    *("issue_for_service", "switch_service_account", "remove_service_account"),
    *("put_service", "put_service"),
]
T = TypeVar("T")
Credential = tuple[Caller, Actor]

accounts = st.sampled_from(ACCOUNTS)
people = st.sampled_from(PEOPLE)
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
    The first account has a service account, and Administrators make others.

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
        self.service_accounts: dict[str, ServiceAccount] = {}
        self.keys: dict[int, list[Key]] = {}
        """Of each token all secrets that it has had."""

    def teardown(self) -> None:
        try:
            self.switch_everybody_off()
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    def switch_everybody_off(self) -> None:
        """At the end no secret may be good any more, whatever happened before."""
        for letter in self.people:
            if letter in PEOPLE:
                user_services.deactivate_user(user=self.people[letter], by=OPERATOR, at=self.at)
            elif (self._account_of(letter), letter) in self.model.roles:
                made = self.service_accounts[letter]
                service_accounts.switch(service_account=made, is_on=False, by=OPERATOR, at=self.at)
            self.model.set_active(letter, is_on=False)
        self.every_secret_is_good_for_what_the_model_says()

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
        made = service_account(self.accounts[0], at=self.at, role=Role.ENGINEERS)
        self._know_service_account(SERVICES[0], made)
        self.model.roles[0, SERVICES[0]] = Role.ENGINEERS
        self.model.names[0, SERVICES[0]] = set()
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
            if self.model.is_present(*pair) and pair[1] in PEOPLE
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
        first = self.credentials[: len(BEGINNING)]  # mostly Administrators, who may do most
        caller, by = data.draw(st.sampled_from(first) | st.sampled_from(self.credentials))
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
        person = caller.person if data.draw(mostly) else data.draw(self._issuers())
        self._issue(caller, by, account, person, data)

    def issue_for_service(
        self, caller: Caller, by: Actor, _account: int, data: st.DataObject
    ) -> None:
        """The caller issues an API token for a service account, and it acts from now on."""
        letter = data.draw(self._services())
        self._issue(caller, by, self._account_of(letter), letter, data)

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
            self.keys[pk] = [issued.key]
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
        person, role = data.draw(self._issuers()), data.draw(roles)
        if (member := self._any_member(account, person)) is not None:
            self.both(
                lambda: self.model.change_role(caller, account, person, role),
                lambda: members.change_role(membership=member, role=role, by=by, at=self.at),
            )

    def remove(self, caller: Caller, by: Actor, account: int, data: st.DataObject) -> None:
        person = data.draw(people) if data.draw(mostly) else data.draw(self._issuers())
        self._remove(caller, by, account, person, data)

    def remove_service_account(
        self, caller: Caller, by: Actor, _account: int, data: st.DataObject
    ) -> None:
        """Seldom, so that there is one mostly."""
        if not data.draw(mostly):
            letter = data.draw(self._services())
            self._remove(caller, by, self._account_of(letter), letter, data)

    def _remove(
        self, caller: Caller, by: Actor, account: int, person: str, data: st.DataObject
    ) -> None:
        delete_tokens = data.draw(st.booleans())
        to = data.draw(st.none() | self._issuers())
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
            self.keys[pk].append(rotated.key)
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
        if self.model.tokens:
            pk = data.draw(st.sampled_from(list(self.model.tokens)))
            self._hand_over(caller, by, account, pk, data.draw(self._issuers()))

    def hand_over_to_service(
        self, caller: Caller, by: Actor, _account: int, data: st.DataObject
    ) -> None:
        """Mostly a token of the service account's own account."""
        letter = data.draw(self._services())
        account = self._account_of(letter)
        if (pk := self._choose_token(account, PEOPLE, data)) is not None:
            self._hand_over(caller, by, account, pk, letter)

    def hand_over_from_service(
        self, caller: Caller, by: Actor, account: int, data: st.DataObject
    ) -> None:
        if (pk := self._choose_token(account, SERVICES, data)) is not None:
            self._hand_over(caller, by, account, pk, data.draw(self._issuers()))

    def _choose_token(self, account: int, issued_by: str, data: st.DataObject) -> int | None:
        """One that is live, if there is one."""
        found = [
            pk
            for pk, token in self.model.tokens.items()
            if token.is_live and token.account == account and token.issuer in issued_by
        ]
        return data.draw(st.sampled_from(found)) if found else None

    def _hand_over(self, caller: Caller, by: Actor, account: int, pk: int, to: str) -> None:
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

    def make_service_account(
        self, caller: Caller, by: Actor, account: int, data: st.DataObject
    ) -> None:
        """The caller makes a service account, and says who may issue tokens for it."""
        if len(self.service_accounts) == len(SERVICES):
            return
        letter = SERVICES[len(self.service_accounts)]
        role, named = data.draw(roles), data.draw(st.sets(people, max_size=2))
        if (chosen := self._members(account, named)) is None:
            return
        _done, made = self.both(
            lambda: self.model.make_service_account(caller, account, letter, role, named),
            lambda: service_accounts.create(
                account=self.accounts[account],
                name="Deploys",
                role=role,
                issuers=chosen,
                by=by,
                at=self.at,
            ),
        )
        if made:
            self._know_service_account(letter, made)

    def edit_service_account(
        self, caller: Caller, by: Actor, _account: int, data: st.DataObject
    ) -> None:
        """The caller gives a service account another role, and says anew who may issue for it."""
        letter, role = data.draw(self._services()), data.draw(roles)
        named = data.draw(st.sets(people, max_size=2))
        self._edit(caller, by, letter, named, role)

    def name(self, caller: Caller, by: Actor, _account: int, data: st.DataObject) -> None:
        """The caller says who may issue tokens for a service account."""
        self._edit(caller, by, data.draw(self._services()), data.draw(st.sets(people, max_size=2)))

    def _edit(
        self, caller: Caller, by: Actor, letter: str, named: set[str], role: Role | None = None
    ) -> None:
        account = self._account_of(letter)
        if (chosen := self._members(account, named)) is None:
            return
        changes = service_accounts.Changes(issuers=chosen)
        if role is not None:
            changes["role"] = role
        self.both(
            lambda: self.model.edit_service_account(caller, account, letter, named, role),
            lambda: service_accounts.edit(
                service_account=self.service_accounts[letter], changes=changes, by=by, at=self.at
            ),
        )

    def switch_service_account(
        self, caller: Caller, by: Actor, _account: int, data: st.DataObject
    ) -> None:
        letter, is_on = data.draw(self._services()), data.draw(mostly)
        self.both(
            lambda: self.model.switch_service_account(
                caller, self._account_of(letter), letter, is_on=is_on
            ),
            lambda: service_accounts.switch(
                service_account=self.service_accounts[letter], is_on=is_on, by=by, at=self.at
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
        letter = self._letter()
        present = Membership.everyone.filter(removed_at=None)
        assert {
            (number[member.account_id], letter[member.user_id]): member.held_role
            for member in present
        } == self.model.roles

    @invariant()
    def named_are_those_of_the_model(self) -> None:
        """Nobody issues for a service account whom no Administrator has named since."""
        letter = self._letter()
        for each, found in self.service_accounts.items():
            account = self._account_of(each)
            if (account, each) in self.model.roles:
                named = {letter[user] for user in found.issuers.values_list("user", flat=True)}
                assert named == self.model.names[account, each]
                assert all((account, person) in self.model.roles for person in named)

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
    def every_secret_is_good_for_what_the_model_says(self) -> None:
        """Each that any token ever had is good exactly while the token lives and its issuer may
        act, and never for more than the token's and its issuer's present role."""
        for pk, keys in self.keys.items():
            token = self.model.tokens[pk]
            for number, key in enumerate(keys):
                assert self._verified(key) == self.model.power(token, number), (token, number)

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

    def _verified(self, key: Key) -> Power | None:
        """As it is read from the database, for who does not ask about the client's address."""
        try:
            found = verify(presented=key.spell(), at=self.at, by_client=False)
        except Refused:
            return None
        scopes = None if found.scopes is None else frozenset(found.scopes.split())
        return Power(self._letter()[found.user_id], found.role, scopes, found.allowed_addresses)

    def _services(self) -> st.SearchStrategy[str]:
        """All service accounts that there have been."""
        return st.sampled_from(list(self.service_accounts))

    def _issuers(self) -> st.SearchStrategy[str]:
        return st.sampled_from([*PEOPLE, *self.service_accounts])

    def _know_service_account(self, letter: str, made: ServiceAccount) -> None:
        self.service_accounts[letter] = made
        self.people[letter] = made.membership.user

    def _account_of(self, letter: str) -> int:
        account_id = self.service_accounts[letter].membership.account_id
        return next(number for number in ACCOUNTS if self.accounts[number].pk == account_id)

    def _letter(self) -> dict[int, str]:
        return {user.pk: letter for letter, user in self.people.items()}

    def _members(self, account: int, chosen: set[str]) -> list[Membership] | None:
        """Their memberships, also of those who were removed; None if one has never had any."""
        found = [self._any_member(account, letter) for letter in sorted(chosen)]
        members = [member for member in found if member is not None]
        return members if len(members) == len(found) else None

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
