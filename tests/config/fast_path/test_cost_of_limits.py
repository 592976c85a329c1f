"""A token that is limited to scopes and addresses is answered about at the price of one that is
not."""

import gc
import time
from collections.abc import Callable
from datetime import datetime
from itertools import cycle
from typing import Any, NamedTuple

import pytest
from django.core.handlers.wsgi import WSGIHandler

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from apitokens.keys import Key
from apitokens.scopes.services import ScopeFacts, register
from apitokens.verification.verifier_keys import issue_verifier
from config.fast_path.shortcut import shortcut
from config.server.bodies import read_bodies
from tests.config.fast_path import test_introspect, test_verify
from tests.config.fast_path.test_verify import kept_connection, nobody, say
from tests.conftest import Issue

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("memory", kept_connection.__name__),
]

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
LIST = ["127.0.0.1", "2001:db8::/48", *(f"203.0.{number}.0/24" for number in range(18))]
SCOPES = ["cdn:purge", "cdn:read", "tokens:read"]
ROUNDS, REQUESTS, TRIES = 15, 250, 5
ADDRESSES = [f"203.0.{number}.9" for number in range(8)]
"""Of the servers that use the token."""
MOST = 1.10
"""Times the CPU of a token that is not limited. The machine is busy: the best of each counts, and
the best of some tries."""


class Case(NamedTuple):
    """What a server is asked, of which it has a fresh environ for each request."""

    warm: Callable[[], object]
    """Brings the token into memory, which forgets it in time."""
    serve: Any
    environ: Callable[[], dict[str, Any]]


@pytest.fixture
def keys(engineer: Membership, issue: Issue, now: datetime) -> dict[str, Key]:
    scopes = [ScopeFacts("purge", "Purge"), ScopeFacts("read", "Read")]
    register(account=engineer.account, code="cdn", name="CDN", scopes=scopes, by=OPERATOR, at=now)
    return {
        "free": issue(engineer).key,
        "limited": issue(engineer, scopes=SCOPES, allowed_addresses=LIST).key,
    }


def seconds(case: Case) -> float:
    """The CPU of many requests, none of which Django answers."""
    case.warm()
    case.serve(case.environ(), lambda status, _headers: _refuse(status))
    many = [case.environ() for _number in range(REQUESTS)]
    gc.collect()
    began = time.thread_time()
    for each in many:
        case.serve(each, _listen)
    return time.thread_time() - began


def _listen(_status: str, _headers: object) -> None:
    pass


def _refuse(status: str) -> None:
    assert status == "200 OK"


def ratio(free: Case, limited: Case) -> float:
    """In turns, so that a busy moment strikes both."""
    least = [float("inf"), float("inf")]
    for _round in range(ROUNDS):
        for place, case in enumerate((free, limited)):
            least[place] = min(least[place], seconds(case))
    return least[1] / least[0]


def assert_costs_the_same(free: Case, limited: Case, record: Callable[[str, object], None]) -> None:
    found = list[float]()
    while len(found) < TRIES and min(found, default=MOST + 1) > MOST:
        found.append(ratio(free, limited))
    record("CPU of limited tokens, times that of others", [round(each, 3) for each in found])
    assert min(found) <= MOST, found


@pytest.mark.parametrize("query", ["", "role=Users", "scope=cdn:purge"])
def test_limits_cost_verification_next_to_nothing(
    keys: dict[str, Key], query: str, record_property: Callable[[str, object], None]
) -> None:
    def case(key: Key) -> Case:
        asked = test_verify.environ(f"APIKey {key.spell()}", query)
        clients = cycle(ADDRESSES)
        return Case(
            warm=lambda: test_verify.warm(key),
            serve=shortcut(nobody),
            environ=lambda: {**asked, "REMOTE_ADDR": next(clients)},
        )

    assert_costs_the_same(case(keys["free"]), case(keys["limited"]), record_property)


@pytest.mark.parametrize("names_client", [True, False])
def test_limits_cost_introspection_next_to_nothing(
    keys: dict[str, Key],
    now: datetime,
    names_client: bool,
    record_property: Callable[[str, object], None],
) -> None:
    caller = issue_verifier(name="Storage", by=OPERATOR, at=now).key.spell()

    def case(key: Key) -> Case:
        clients, header = cycle(ADDRESSES), f"Bearer {caller}"

        def environ() -> dict[str, Any]:
            client = f"&client_address={next(clients)}" if names_client else ""
            return test_introspect.environ(f"token={key.spell('_')}{client}", header)

        def warm() -> None:
            for _time in range(2):
                say(read_bodies(WSGIHandler()), environ())

        return Case(warm, read_bodies(shortcut(nobody)), environ)

    assert_costs_the_same(case(keys["free"]), case(keys["limited"]), record_property)
