"""Nothing of an account is readable, changeable or distinguishable from outside: every route for
every caller."""

from contextlib import nullcontext

import pytest

from tests.tenancy.expected_outcomes import EXPECTED, NAMELESS
from tests.tenancy.fixture import ACCOUNT_MARK, CALLERS, ENGINEERS_MARK, OUTSIDERS, TenancyFixture
from tests.tenancy.probe import REFUSED, outcome, rolled_back, send, text
from tests.tenancy.routes import Route, is_id, nameless, routes

pytestmark = pytest.mark.django_db

ROUTES = routes()
every_route = pytest.mark.parametrize("route", ROUTES, ids=[route.name for route in ROUTES])
routes_to_an_object = pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if any(map(is_id, route.arguments))],
    ids=lambda route: route.name,
)


def outsiders(route: Route) -> list[str]:
    """The callers who must see nothing of the account."""
    is_operators = route.name.startswith("admin:")
    return [caller for caller in OUTSIDERS if not (is_operators and caller == "operator")]


def test_every_route_has_expected_outcomes() -> None:
    unplaced = {route.name for route in ROUTES} - set(EXPECTED)
    gone = set(EXPECTED) - {route.name for route in ROUTES}

    assert not unplaced, (
        f"Say in tests/tenancy/expected_outcomes.py what they answer to everybody: {unplaced}"
    )
    assert not gone, f"Take them out of tests/tenancy/expected_outcomes.py: {gone}"


def test_no_route_hides_without_a_name() -> None:
    assert set(nameless()) == set(NAMELESS)


@every_route
def test_every_caller_gets_the_expected_outcome(route: Route, tenancy: TenancyFixture) -> None:
    for method, expected in EXPECTED[route.name].items():
        got = {}
        for caller in CALLERS:
            with rolled_back():
                got[caller] = outcome(send(tenancy.clients[caller], method, route.address(tenancy)))

        assert got == expected, method


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.name.startswith("api-")],
    ids=lambda each: each.name,
)
def test_method_without_an_expectation_is_refused_to_every_caller(
    route: Route, tenancy: TenancyFixture
) -> None:
    for method in set(route.methods) - set(EXPECTED[route.name]):
        for caller in CALLERS:
            with rolled_back():
                answer = send(tenancy.clients[caller], method, route.address(tenancy))
            assert outcome(answer) in REFUSED, (method, caller)


@every_route
def test_outsiders_read_and_change_nothing_of_the_account(
    route: Route, tenancy: TenancyFixture
) -> None:
    for caller in outsiders(route):
        for method in route.methods:
            is_kept = nullcontext() if method == "GET" else tenancy.unchanged(caller, method)
            with rolled_back(), is_kept:
                said = text(send(tenancy.clients[caller], method, route.address(tenancy)))
            assert ACCOUNT_MARK.encode() not in said.lower(), (caller, method)


@every_route
def test_member_reads_nothing_of_another_member(route: Route, tenancy: TenancyFixture) -> None:
    for method in route.methods:
        with rolled_back():
            said = text(send(tenancy.clients["user"], method, route.address(tenancy)))
        assert ENGINEERS_MARK.encode() not in said.lower(), method


@routes_to_an_object
def test_hidden_object_is_answered_like_one_that_does_not_exist(
    route: Route, tenancy: TenancyFixture
) -> None:
    for method, expected in EXPECTED[route.name].items():
        for caller in [name for name in ("stranger", "user") if expected[name] in ("403", "404")]:
            own = ("client_id", "account_id") if caller == "user" else ()
            answers = []
            for address in (route.address(tenancy), route.address_of_nothing(tenancy, but=own)):
                with rolled_back():
                    answer = send(tenancy.clients[caller], method, address)
                answers.append((outcome(answer), text(answer).replace(address.encode(), b"")))
            assert answers[0] == answers[1], (method, caller)


def test_marks_are_seen_by_members(tenancy: TenancyFixture) -> None:
    """Without this, a misspelt mark would make every test above pass."""
    by_name = {route.name: route for route in ROUTES}
    for name in ("apitokens:list", "accounts:audit_log", "api-tokens-v1", "api-users"):
        said = text(send(tenancy.clients["administrator"], "GET", by_name[name].address(tenancy)))
        assert ENGINEERS_MARK.encode() in said.lower(), name
    own = text(send(tenancy.clients["user"], "GET", by_name["apitokens:list"].address(tenancy)))
    assert ACCOUNT_MARK.encode() in own.lower()
