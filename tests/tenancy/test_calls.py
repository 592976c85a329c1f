"""A call of the API changes the account of its token, whatever else its person does: every call
that changes something, of a person with two accounts that look the same."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor
from accounts.roles import Role
from apitokens.tokens import rotation
from apitokens.tokens import services as tokens
from tests.accounts.jwt.conftest import log_in, with_access
from tests.factories import UserFactory, issue
from tests.tenancy.expected_outcomes import EXPECTED
from tests.tenancy.fixture import watched
from tests.tenancy.probe import made_once
from tests.tenancy.routes import routes
from tests.tenancy.two_accounts import Side, build

pytestmark = pytest.mark.django_db

USERS = {"id": Role.USERS.value}
PURGE = {"code": "purge", "name": "Purge"}
NO_ACCOUNT = {"api-login", "api-refresh", "api-verify", "api-introspect", "api-introspect-batch"}
"""Calls that ask, and change nothing of an account whatever their method is."""


@dataclass(frozen=True)
class Call:
    body: Callable[[Side], dict[str, Any]] = lambda _side: {}
    prepare: Callable[[Side], object] | None = None
    changes_account: bool | None = True
    """None: as its event belongs to the account of an API token, and to none of a person's."""


def says(**body: Any) -> Callable[[Side], dict[str, Any]]:
    return lambda _side: body


def _without_token(side: Side) -> None:
    tokens.delete(token=side.token, by=Actor.member(side.person), at=timezone.now())


def _rotated(side: Side) -> None:
    rotation.rotate(token=side.token, by=Actor.member(side.person), at=timezone.now())


NEW_TOKEN = Call(says(name="New", exp_date=None, client_user={"role": USERS}))
HANDOVER = Call(lambda side: {"tokens": [side.token.pk], "issuer": side.person.user_id})
DELETION = Call(lambda side: {"tokens": [side.token.pk]})
LOOK_UP = Call(lambda side: {"token": side.key.spell()})
CALLS: dict[tuple[str, str], Call] = {
    ("api-user", "PATCH"): Call(says(name="Renamed"), changes_account=None),
    ("api-invite-user", "POST"): Call(
        lambda side: {
            "client_id": side.account.pk,
            "email": "new@example.com",
            "user_role": USERS,
        }
    ),
    ("api-client-user", "PUT"): Call(says(user_role=USERS)),
    ("api-client-user", "DELETE"): Call(prepare=_without_token),
    ("api-services", "POST"): Call(says(code="video", name="Video", scopes=[PURGE])),
    ("api-service", "PUT"): Call(says(name="Renamed", scopes=[PURGE])),
    ("api-service", "DELETE"): Call(),
    ("api-service-accounts", "POST"): Call(says(name="New", role=USERS)),
    ("api-service-account", "PATCH"): Call(says(name="Renamed")),
    ("api-service-account", "DELETE"): Call(),
    **{
        (name.format(version), method): call
        for version in ("v1", "v2")
        for (name, method), call in {
            ("api-tokens-{}", "POST"): NEW_TOKEN,
            ("api-token-{}", "PATCH"): Call(says(name="Renamed")),
            ("api-token-{}", "DELETE"): Call(),
            ("api-rotate-{}", "POST"): Call(),
            ("api-old-secret-{}", "DELETE"): Call(prepare=_rotated),
            ("api-hand-over-{}", "POST"): HANDOVER,
            ("api-delete-{}", "POST"): DELETION,
            ("api-look-up-{}", "POST"): LOOK_UP,
        }.items()
    },
}
"""The body of every call that changes something. A new call is refused until it is here."""

OF_ROUTE = {route.name: route for route in routes() if route.is_call}


@dataclass
class Two:
    """The accounts, and the states of both before any test, to which each of them returns."""

    a: Side
    b: Side
    beginning: tuple[list[Any], list[Any]]

    def states(self) -> tuple[list[Any], list[Any]]:
        return self.a.state(), self.b.state()


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Two]:
    with made_once(django_db_blocker):
        person, colleague = UserFactory.create(), UserFactory.create(name="Colleague")
        a, b = (build(name, person, colleague, timezone.now()) for name in ("Acme", "Globex"))
        yield Two(a, b, (a.state(), b.state()))


@pytest.fixture
def two(made: Two) -> Two:
    return deepcopy(made)


def by_token(side: Side, other: Side) -> APIClient:
    """A client with an API token; another of the same person is used for the other account."""
    ours, theirs = (
        APIClient(
            headers={
                "Authorization": "APIKey "
                + issue(each.person, role=Role.ADMINISTRATORS, at=timezone.now()).key.spell()
            }
        )
        for each in (side, other)
    )
    assert theirs.get(reverse("api-my-account")).json()["id"] == other.account.pk
    ours.get(reverse("api-my-account"))  # the first use is noted at once
    return ours


def by_bearer(side: Side, other: Side) -> APIClient:
    """A client with an access token, whose person went on to the other account meanwhile."""
    first = log_in(side.person.user.email).json()["access"]
    access = with_access(first).get(_login_to(side)).json()["access"]
    ours = with_access(access)
    theirs = with_access(ours.get(_login_to(other)).json()["access"])
    assert theirs.get(reverse("api-my-account")).json()["id"] == other.account.pk
    return ours


def _login_to(side: Side) -> str:
    return reverse("api-login-to-account", args=[side.account.pk])


CALLERS = pytest.mark.parametrize("caller", [by_token, by_bearer])
EVERY_CALL = pytest.mark.parametrize(("name", "method"), CALLS)


def address(name: str, side: Side, *, of: Side | None = None) -> str:
    """The address of the account's object, or of another's by the address of the account."""
    owner = of or side
    is_own = name == "api-user"
    values = {
        "client_id": side.account.pk,
        "user_id": (owner.person if is_own else owner.colleague).user_id,
        "service_account_id": owner.service.membership.user_id,
        "token_id": owner.token.pk,
        "code": owner.cdn.code,
    }
    return reverse(name, kwargs={each: values[each] for each in OF_ROUTE[name].arguments})


def test_every_call_that_changes_something_is_walked() -> None:
    changing = {
        (name, method)
        for name in OF_ROUTE
        for method, outcomes in EXPECTED[name].items()
        if method != "GET" and outcomes["administrator"] != "405"
    }
    assert {(name, method) for name, method in changing if name not in NO_ACCOUNT} == set(CALLS)


@CALLERS
@EVERY_CALL
def test_call_changes_the_account_of_its_token_only(
    two: Two, name: str, method: str, caller: Callable[[Side, Side], APIClient]
) -> None:
    call, client = CALLS[name, method], caller(two.a, two.b)
    if call.prepare:
        for side in (two.a, two.b):
            call.prepare(side)
    before, kept = two.states()

    answer = client.generic(
        method, address(name, two.a), json.dumps(call.body(two.a)), content_type="application/json"
    )

    assert answer.status_code in (200, 204), answer.content
    assert two.b.is_as(kept)
    assert call.changes_account is None or not two.a.is_as(before)


@CALLERS
@EVERY_CALL
def test_call_changes_nothing_of_the_other_account_of_its_person(
    two: Two, name: str, method: str, caller: Callable[[Side, Side], APIClient]
) -> None:
    """Though the same person might, with a token of that account."""
    call, client = CALLS[name, method], caller(two.a, two.b)
    if call.prepare:
        call.prepare(two.b)
    kept = two.b.state()

    own, foreign = address(name, two.a, of=two.b), address(name, two.b)
    for path in {own, foreign}:
        answer = client.generic(
            method, path, json.dumps(call.body(two.b)), content_type="application/json"
        )
        assert path == own or answer.status_code == 404

    assert two.b.is_as(kept)


WRITTEN_BY_ASKING = {"api-login-to-account": {"accounts_tokenfamily", "accounts_auditevent"}}
"""The one call of the former portal that is a GET and begins something."""


@CALLERS
def test_call_that_asks_writes_nothing(two: Two, caller: Callable[[Side, Side], APIClient]) -> None:
    client, wrote = caller(two.a, two.b), {}
    for name in OF_ROUTE:
        with watched() as writes:
            answer: Any = client.get(address(name, two.a))
            list(answer.streaming_content if answer.streaming else ())
        if writes.tables:
            wrote[name] = writes.tables

    assert wrote == (WRITTEN_BY_ASKING if caller is by_bearer else {})
