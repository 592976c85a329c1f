"""Nothing of an account is readable, changeable or distinguishable from outside: every route for
every caller."""

from typing import NamedTuple

import pytest

from tests.tenancy.expected_outcomes import EXPECTED, NAMELESS
from tests.tenancy.fixture import (
    ACCOUNT_MARK,
    CALLERS,
    ENGINEERS_MARK,
    OUTSIDERS,
    TenancyFixture,
    watched,
)
from tests.tenancy.probe import REFUSED, outcome, rolled_back, send, text
from tests.tenancy.routes import Route, is_id, nameless, routes

pytestmark = pytest.mark.django_db

ROUTES = routes()


def of_each(routes: list[Route]) -> pytest.MarkDecorator:
    """With the scope of a module all tests of a route come one after the other: what was asked for
    one of them is known to the next."""
    return pytest.mark.parametrize(
        "route", routes, ids=[route.name for route in routes], scope="module"
    )


every_route = of_each(ROUTES)
routes_to_an_object = of_each([route for route in ROUTES if any(map(is_id, route.arguments))])
calls_of_the_api = of_each([route for route in ROUTES if route.name.startswith("api-")])


KEPT_IN_SESSIONS = {
    "mfa_activate_totp": {"django_session"},  # the secret of the app that the page shows
    "mfa_add_webauthn": {"django_session"},  # the challenge of the page
    "sso:test": {"django_session"},  # the request that the provider is to answer
}
"""What a GET may write: the answer to it is good in this session only."""


class Answer(NamedTuple):
    outcome: str
    text: bytes
    is_kept: bool | None
    """Whether the account is as before; None where nobody looks: of members, and of a GET."""
    written: frozenset[str]
    """The tables that were written to."""

    def tells(self, mark: str) -> bool:
        return mark.encode() in self.text.lower()


class Answers:
    """What the callers are answered at one address. Each is asked once: it leaves nothing behind,
    so all tests may look at the answer."""

    def __init__(self, tenancy: TenancyFixture, address: str) -> None:
        self.tenancy, self.address = tenancy, address
        self._known: dict[tuple[str, str], Answer] = {}

    def to(self, caller: str, method: str) -> Answer:
        if (caller, method) not in self._known:
            self._known[caller, method] = self._ask(caller, method)
        return self._known[caller, method]

    def _ask(self, caller: str, method: str) -> Answer:
        before = self.tenancy.beginning
        with rolled_back():
            with watched() as writes:
                answer = send(self.tenancy.clients[caller], method, self.address)
                got, said = outcome(answer), text(answer)
            is_kept = None
            if caller in OUTSIDERS and method != "GET":
                is_kept = not writes.seen or self.tenancy.state() == before
        return Answer(got, said, is_kept, frozenset(writes.tables))


@pytest.fixture(scope="module")
def last() -> list[Answers]:
    """The answers of one route, which the next test mostly looks at, too."""
    return []


@pytest.fixture
def answers(route: Route, tenancy: TenancyFixture, last: list[Answers]) -> Answers:
    address = route.address(tenancy)
    if not last or last[0].address != address:
        last[:] = [Answers(tenancy, address)]
    return last[0]


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
def test_every_caller_gets_the_expected_outcome(route: Route, answers: Answers) -> None:
    for method, expected in EXPECTED[route.name].items():
        got = {caller: answers.to(caller, method).outcome for caller in CALLERS}
        assert got == expected, method


@calls_of_the_api
def test_method_without_an_expectation_is_refused_to_every_caller(
    route: Route, answers: Answers
) -> None:
    for method in set(route.methods) - set(EXPECTED[route.name]):
        for caller in CALLERS:
            assert answers.to(caller, method).outcome in REFUSED, (method, caller)


@every_route
def test_outsiders_read_and_change_nothing_of_the_account(route: Route, answers: Answers) -> None:
    for caller in outsiders(route):
        for method in route.methods:
            answer = answers.to(caller, method)
            assert not answer.tells(ACCOUNT_MARK), (caller, method)
            assert answer.is_kept is not False, (caller, method)


@every_route
def test_looking_writes_nothing(route: Route, answers: Answers) -> None:
    """Pages are opened by what reads mails, too, and by what fetches ahead."""
    for caller in CALLERS:
        written = answers.to(caller, "GET").written
        assert written <= KEPT_IN_SESSIONS.get(route.name, set()), caller


def test_session_keeps_what_a_page_asks_for(tenancy: TenancyFixture) -> None:
    """Without this, nobody would see that writes are not seen."""
    for route in ROUTES:
        if route.name in KEPT_IN_SESSIONS:
            answers = Answers(tenancy, route.address(tenancy))
            assert answers.to("administrator", "GET").written == KEPT_IN_SESSIONS[route.name]


@every_route
def test_member_reads_nothing_of_another_member(route: Route, answers: Answers) -> None:
    for method in route.methods:
        assert not answers.to("user", method).tells(ENGINEERS_MARK), method


@routes_to_an_object
def test_hidden_object_is_answered_like_one_that_does_not_exist(
    route: Route, answers: Answers, tenancy: TenancyFixture
) -> None:
    for method, expected in EXPECTED[route.name].items():
        for caller in [name for name in ("stranger", "user") if expected[name] in ("403", "404")]:
            own = ("client_id", "account_id") if caller == "user" else ()
            nothing = Answers(tenancy, route.address_of_nothing(tenancy, but=own))
            compared = [
                (answer.outcome, answer.text.replace(where.address.encode(), b""))
                for where in (answers, nothing)
                for answer in [where.to(caller, method)]
            ]
            assert compared[0] == compared[1], (method, caller)


def test_marks_are_seen_by_members(tenancy: TenancyFixture) -> None:
    """Without this, a misspelt mark would make every test above pass."""
    by_name = {route.name: route for route in ROUTES}
    for name in ("apitokens:list", "accounts:audit_log", "api-tokens-v1", "api-users"):
        said = text(send(tenancy.clients["administrator"], "GET", by_name[name].address(tenancy)))
        assert ENGINEERS_MARK.encode() in said.lower(), name
    own = text(send(tenancy.clients["user"], "GET", by_name["apitokens:list"].address(tenancy)))
    assert ACCOUNT_MARK.encode() in own.lower()
