"""The short way to /iam/auth/introspect says what the ordinary way says, and knows its limits."""

import base64
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from apitokens import keys
from apitokens.api.introspect import FORM
from apitokens.cache.token_caches import TOKENS, VERIFIERS
from apitokens.keys import Key
from apitokens.models import VerifierKey
from apitokens.scopes.services import ScopeFacts, register
from apitokens.tokens import services as token_services
from apitokens.usage.flusher import UsageFlusher
from apitokens.verification.verifier_keys import delete_verifier, issue_verifier
from apitokens.verification.verify import verify
from config.fast_path import introspect
from config.fast_path.shortcut import shortcut
from config.middleware import security_headers
from config.server import bodies
from config.server.bodies import read_bodies
from telemetry.metrics import LIMITED
from tests.config.fast_path.test_verify import Said, kept_connection, nobody, say
from tests.conftest import Issue

pytestmark = [
    pytest.mark.both,
    pytest.mark.django_db,
    pytest.mark.usefixtures("memory", kept_connection.__name__),
]

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
ASKED = "599 Django was asked"


def environ(body: str | bytes, header: str | None, **facts: Any) -> dict[str, Any]:
    request = RequestFactory().post(introspect.PATH, body, content_type=FORM)
    given = {"HTTP_HOST": "localhost", "HTTP_AUTHORIZATION": header, **facts}
    known = {name: value for name, value in given.items() if value is not None}
    return {**request.META, "wsgi.input": BytesIO(_octets(body)), **known}


def _octets(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


@pytest.fixture
def caller(now: datetime) -> str:
    """A verifier key that is in memory."""
    key = issue_verifier(name="Storage", by=OPERATOR, at=now).key
    warm(f"Bearer {key.spell()}", "1")
    return key.spell()


@pytest.fixture
def key(engineer: Membership, issue: Issue, caller: str) -> Key:
    """The key of a token that is in memory."""
    key = issue(engineer).key
    warm(f"Bearer {caller}", key.spell())
    return key


@pytest.fixture(autouse=True)
def nothing_of_other_settings() -> Iterator[None]:
    for remembered in (security_headers, introspect._read_head):
        remembered.cache_clear()
    yield
    for remembered in (security_headers, introspect._read_head):
        remembered.cache_clear()


def warm(header: str, token: str) -> None:
    for _time in range(2):
        say(WSGIHandler(), environ(f"token={token}", header))


def both(body: str | bytes, header: str | None, **facts: Any) -> tuple[Said, Said]:
    return (
        say(shortcut(nobody), environ(body, header, **facts)),
        say(read_bodies(WSGIHandler()), environ(body, header, **facts)),
    )


BODIES = {
    "good": "token={token}",
    "encoded": "token={encoded}",
    "with a hint": "token={token}&token_type_hint=access_token",
    "hint first": "token_type_hint=&token={token}",
    "wrong": "token={wrong}",
    "unknown": "token={unknown}",
    "cut": "token={cut}",
    "no token's": "token=x",
}


@pytest.mark.parametrize("body", BODIES)
def test_both_ways_say_the_same(key: Key, caller: str, body: str) -> None:
    wrong, unknown = Key(key.id, "0" * 64), keys.make(771_142_358)
    for each in (unknown, wrong, key):
        warm(f"Bearer {caller}", each.spell())
    asked = BODIES[body].format(
        token=key.spell("_"),
        encoded=key.spell().replace("$", "%24"),
        wrong=wrong.spell(),
        unknown=unknown.spell(),
        cut=key.spell()[:-1],
    )
    pair = base64.b64encode(f"storage:{caller}".encode()).decode()
    for header in (f"Bearer {caller}", f"Basic {pair}", f"bearer\t{caller} "):
        by_shortcut, by_django = both(asked, header)
        assert by_shortcut == by_django
        assert by_django.status == "200 OK"


def test_answer_from_memory_asks_no_database_and_is_noted(
    key: Key, caller: str, usage_flusher: UsageFlusher
) -> None:
    usage_flusher.buffer.pop_all()
    with CaptureQueriesContext(connection) as queries:
        told = say(shortcut(nobody), environ(f"token={key.spell()}", f"Bearer {caller}"))
    assert told.status == "200 OK"
    assert not queries.captured_queries
    assert [(use.address, use.times) for use in usage_flusher.buffer.pop_all()] == [(None, 1)]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "token=",
        "token={token}&token={token}",
        "token={token}&x=1",
        "token={token}&client_secret=1",
        "token=+{token}",
        "token=%20{token}",
        "token={token}%0A",
        "token={token};",
        "Token={token}",
        "%74oken={token}",
        "\ufefftoken={token}",
        "token={token}" + " " * 1000,
        "token=eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
    ],
)
def test_unusual_bodies_go_the_ordinary_way(key: Key, caller: str, body: str) -> None:
    asked = environ(body.format(token=key.spell()), f"Bearer {caller}")
    whole = asked["wsgi.input"].getvalue()
    assert say(shortcut(nobody), asked).status == ASKED
    assert asked["wsgi.input"].read() == whole  # Django reads it from the beginning


@pytest.mark.parametrize(
    "odd",
    [
        {"REQUEST_METHOD": "GET"},
        {"REQUEST_METHOD": "PUT"},
        {"CONTENT_TYPE": "application/json"},
        {"CONTENT_TYPE": "application/x-www-form-urlencoded; charset=rot13"},
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": "1001"},
        {"CONTENT_LENGTH": "900"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"HTTP_CONTENT_ENCODING": "gzip"},
        {"HTTP_HOST": "evil.example"},
        {"HTTP_AUTHORIZATION": None},
        {"HTTP_AUTHORIZATION": ""},
        {"HTTP_AUTHORIZATION": "Bearer x"},
        {"HTTP_AUTHORIZATION": "Digest x"},
        {"QUERY_STRING": "token=1"},
        {"SCRIPT_NAME": "/below"},
        {"PATH_INFO": "/iam/auth/introspect/"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7, " * 50},
    ],
)
def test_what_is_odd_goes_the_ordinary_way(key: Key, caller: str, odd: dict[str, Any]) -> None:
    facts = {"HTTP_AUTHORIZATION": f"Bearer {caller}", **odd}
    asked = environ(f"token={key.spell()}", facts.pop("HTTP_AUTHORIZATION"), **facts)
    assert say(shortcut(nobody), asked).status == ASKED


def test_nothing_is_remembered_of_a_token_in_the_address(key: Key, caller: str) -> None:
    asked = environ("token=1", f"Bearer {caller}", QUERY_STRING=f"token={key.spell()}")
    assert say(shortcut(nobody), asked).status == ASKED
    assert introspect._read_head.cache_info().currsize == 0


def test_plain_http_goes_the_ordinary_way_where_https_is_asked_for(
    key: Key, caller: str, settings: Settings
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    asked = f"token={key.spell()}", f"Bearer {caller}"
    assert say(shortcut(nobody), environ(*asked)).status == ASKED
    by_shortcut, by_django = both(*asked, **{"wsgi.url_scheme": "https"})
    assert by_shortcut == by_django
    assert by_django.status == "200 OK"


def test_callers_that_are_not_in_memory_go_the_ordinary_way(key: Key, caller: str) -> None:
    asked = f"token={key.spell()}", f"Bearer {caller}"
    unknown = keys.make(771_142_358, keys.VERIFIER).spell()
    warm(f"Bearer {unknown}", "1")
    assert say(shortcut(nobody), environ(asked[0], f"Bearer {unknown}")).status == ASKED
    VERIFIERS.forget_all()
    assert say(shortcut(nobody), environ(*asked)).status == ASKED


def test_ended_keys_are_not_answered(
    engineer: Membership, issue: Issue, caller: str, now: datetime
) -> None:
    token, key = issue(engineer)
    warm(f"Bearer {caller}", key.spell())
    token_services.delete(token=token, by=Actor.member(engineer), at=now)
    TOKENS.forget_all()  # as when it is committed
    asked = f"token={key.spell()}", f"Bearer {caller}"
    warm(asked[1], key.spell())
    by_shortcut, by_django = both(*asked)
    assert by_shortcut == by_django
    assert by_django.body == b'{"active": false}'

    verifier_id = keys.parse_verifier(caller).id
    delete_verifier(verifier=VerifierKey.objects.get(pk=verifier_id), by=OPERATOR, at=now)
    VERIFIERS.forget_all()
    warm(asked[1], key.spell())
    by_shortcut, by_django = both(*asked)
    assert (by_shortcut.status, by_django.status) == (ASKED, "401 Unauthorized")


def test_token_above_its_rate_is_refused(
    engineer: Membership, issue: Issue, caller: str, settings: Settings
) -> None:
    settings.TOKEN_RATE = 2
    asked = f"token={issue(engineer).key.spell()}", f"Bearer {caller}"
    serve = shortcut(read_bodies(WSGIHandler()))
    assert [say(serve, environ(*asked)).status[:3] for _time in range(4)] == [
        *("200", "200", "429", "429")
    ]


def test_refusal_above_its_rate_is_counted_once(
    engineer: Membership, issue: Issue, caller: str, settings: Settings
) -> None:
    """By the one who gives it, and nobody behind: an operator would see three for one."""
    settings.TOKEN_RATE = 2
    asked = f"token={issue(engineer).key.spell()}", f"Bearer {caller}"
    for _time in range(2):
        say(shortcut(read_bodies(WSGIHandler())), environ(*asked))
    before = limited()
    by_shortcut = say(shortcut(nobody), environ(*asked))
    assert limited() - before == 1
    assert by_shortcut == say(read_bodies(WSGIHandler()), environ(*asked))
    assert by_shortcut.status == "429 Too Many Requests"


def limited() -> float:
    return sum(sample.value for metric in LIMITED.collect() for sample in metric.samples)


def test_bodies_are_read_in_turn_here_too(
    key: Key, caller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_places", places := bodies.places_for(0))
    asked = f"token={key.spell()}", f"Bearer {caller}"
    assert say(shortcut(nobody), environ(*asked)).status == ASKED
    places.put(None)
    assert say(shortcut(nobody), environ(*asked)).status == "200 OK"


def test_body_that_breaks_off_is_refused(key: Key, caller: str) -> None:
    asked = environ(f"token={key.spell()}", f"Bearer {caller}", CONTENT_LENGTH="500")
    told = say(shortcut(read_bodies(WSGIHandler())), asked)
    assert told.status == "400 Bad Request"


@pytest.mark.parametrize(
    "scopes", [None, ["tokens:read"], ["cdn:purge"], ["cdn:purge", "tokens:read"]]
)
@pytest.mark.parametrize("is_bound", [False, True])
def test_both_ways_say_the_same_of_scopes(
    engineer: Membership, issue: Issue, now: datetime, scopes: list[str] | None, is_bound: bool
) -> None:
    purge = ScopeFacts("purge", "Purge")
    cdn = register(
        account=engineer.account, code="cdn", name="CDN", scopes=[purge], by=OPERATOR, at=now
    )
    service = cdn if is_bound else None
    caller = issue_verifier(name="Edge", service=service, by=OPERATOR, at=now).key.spell()
    key = issue(engineer, scopes=scopes).key
    warm(f"Bearer {caller}", "1")
    verify(presented=key.spell(), at=now)  # used once before it is asked
    by_shortcut, by_django = both(f"token={key.spell('_')}", f"Bearer {caller}")
    assert by_shortcut == by_django
    assert by_shortcut.status == "200 OK"
