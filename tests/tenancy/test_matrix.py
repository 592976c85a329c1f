"""Nothing of an account is readable, changeable or distinguishable by whom it does not belong to:
every route by everybody."""

import pytest

from tests.tenancy.accounts import ACCOUNT_MARK, ASKERS, ENGINEERS_MARK, OUTSIDERS, World
from tests.tenancy.answers import REFUSED, ask, outcome, rolled_back, text
from tests.tenancy.matrix import MATRIX, NAMELESS
from tests.tenancy.routes import Route, is_id, nameless, routes

pytestmark = pytest.mark.django_db

ROUTES = routes()
every_route = pytest.mark.parametrize("route", ROUTES, ids=[route.name for route in ROUTES])
routes_to_a_thing = pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if any(map(is_id, route.arguments))],
    ids=lambda route: route.name,
)


def outsiders(route: Route) -> list[str]:
    """Those to whom the account is none of their business."""
    is_operators = route.name.startswith("admin:")
    return [asker for asker in OUTSIDERS if not (is_operators and asker == "operator")]


def test_every_route_has_its_place_in_the_matrix() -> None:
    unplaced = {route.name for route in ROUTES} - set(MATRIX)
    gone = set(MATRIX) - {route.name for route in ROUTES}

    assert not unplaced, f"Say in tests/tenancy/matrix.py what they answer to everybody: {unplaced}"
    assert not gone, f"Take them out of tests/tenancy/matrix.py: {gone}"


def test_no_route_hides_without_a_name() -> None:
    assert set(nameless()) == set(NAMELESS)


@every_route
def test_everybody_gets_the_answer_that_the_matrix_says(route: Route, world: World) -> None:
    for method, expected in MATRIX[route.name].items():
        got = {}
        for asker in ASKERS:
            with rolled_back():
                got[asker] = outcome(ask(world.clients[asker], method, route.address(world)))

        assert got == expected, method


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.name.startswith("api-")],
    ids=lambda each: each.name,
)
def test_method_that_is_not_in_the_matrix_is_refused_to_everybody(
    route: Route, world: World
) -> None:
    for method in set(route.methods) - set(MATRIX[route.name]):
        for asker in ASKERS:
            with rolled_back():
                answer = ask(world.clients[asker], method, route.address(world))
            assert outcome(answer) in REFUSED, (method, asker)


@every_route
def test_outsiders_read_and_change_nothing_of_the_account(route: Route, world: World) -> None:
    before = world.state()
    for asker in outsiders(route):
        for method in route.methods:
            with rolled_back():
                said = text(ask(world.clients[asker], method, route.address(world)))
                assert ACCOUNT_MARK.encode() not in said.lower(), (asker, method)
                assert method == "GET" or world.state() == before, (asker, method)


@every_route
def test_member_reads_nothing_of_another_member(route: Route, world: World) -> None:
    for method in route.methods:
        with rolled_back():
            said = text(ask(world.clients["user"], method, route.address(world)))
        assert ENGINEERS_MARK.encode() not in said.lower(), method


@routes_to_a_thing
def test_what_one_must_not_see_is_answered_like_what_is_not_there(
    route: Route, world: World
) -> None:
    for method, expected in MATRIX[route.name].items():
        for asker in [name for name in ("stranger", "user") if expected[name] in ("403", "404")]:
            own = ("client_id", "account_id") if asker == "user" else ()
            answers = []
            for address in (route.address(world), route.address_of_nothing(world, but=own)):
                with rolled_back():
                    answer = ask(world.clients[asker], method, address)
                answers.append((outcome(answer), text(answer).replace(address.encode(), b"")))
            assert answers[0] == answers[1], (method, asker)


def test_the_marks_are_seen_by_those_who_may(world: World) -> None:
    """Without this, a misspelt mark would make every promise above hold."""
    by_name = {route.name: route for route in ROUTES}
    for name in ("apitokens:list", "accounts:audit_log", "api-tokens-v1", "api-users"):
        said = text(ask(world.clients["administrator"], "GET", by_name[name].address(world)))
        assert ENGINEERS_MARK.encode() in said.lower(), name
    own = text(ask(world.clients["user"], "GET", by_name["apitokens:list"].address(world)))
    assert ACCOUNT_MARK.encode() in own.lower()
