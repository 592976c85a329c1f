"""The short way to /iam/auth/verify says what the ordinary way says, and knows its limits."""

import base64
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens import keys
from apitokens.cache.token_caches import TOKENS
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.usage.flusher import UsageFlusher
from config.env.networks import parse_networks
from config.fast_path.requests import MOST_CHARACTERS
from config.fast_path.shortcut import shortcut
from config.fast_path.verify import (
    REQUEST_PARTS,
    _read_request_key,
)
from config.middleware import security_headers
from tests.conftest import Issue

pytestmark = [pytest.mark.both, pytest.mark.django_db, pytest.mark.usefixtures("memory")]

VERIFY = "/iam/auth/verify"


class Said(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes


def say(serve: Any, environ: dict[str, Any]) -> Said:
    told: list[Any] = []
    answer = serve(environ, lambda status, headers, *_error: told.extend((status, headers)))
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return Said(told[0], sorted(told[1]), body)


def nobody(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Stands where Django does, and tells that it was asked."""
    start_response("599 Django was asked", [])
    return []


def environ(header: str | None, query: str = "", method: str = "GET", **facts: str) -> Any:
    given: dict[str, Any] = {"SERVER_NAME": "localhost", "HTTP_HOST": "localhost", **facts}
    if header is not None:
        given["HTTP_AUTHORIZATION"] = header
    request = RequestFactory().generic(method, VERIFY, QUERY_STRING=query, **given)
    return request.META


@pytest.fixture
def key(engineer: Membership, issue: Issue) -> Key:
    """The key of a token that is in memory."""
    key = issue(engineer, role=Role.PURGE_AND_PREFETCH_API).key
    warm(key)
    return key


@pytest.fixture(autouse=True)
def nothing_of_other_settings() -> Iterator[None]:
    for remembered in (security_headers, _read_request_key):
        remembered.cache_clear()
    yield
    for remembered in (security_headers, _read_request_key):
        remembered.cache_clear()


@pytest.fixture(autouse=True)
def kept_connection() -> Iterator[None]:
    """A request's end must not close the connection that the test works on."""
    ends = (request_started, request_finished)
    for end in ends:
        end.disconnect(close_old_connections)
    yield
    for end in ends:
        end.connect(close_old_connections)


def warm(key: Key, times: int = 2) -> None:
    for _time in range(times):
        say(WSGIHandler(), environ(f"APIKey {key.spell()}"))


def both(asked: Any) -> tuple[Said, Said]:
    return say(shortcut(nobody), dict(asked)), say(WSGIHandler(), dict(asked))


HEADERS = {
    "good": "APIKey {token}",
    "the other spelling": "apikey {other}",
    "wrong": "APIKey {wrong}",
    "unknown": "APIKey {unknown}",
    "cut": "APIKey {cut}",
    "id alone": "APIKey 771142358",
    "empty": "APIKey ",
    "tab": "APIKey\t{token}",
    "twice": "APIKey {token},APIKey {token}",
    "none": None,
    "basic": "Basic dXNlcjpwYXNz",
    "token in basic": "Basic {basic}",
    "empty header": " ",
    "not ascii": "APIKey {token}\xe2\x80\x8b",
}
QUERIES = ["", "role=3022", "role=Users&account={account}", "role=1", "account=999"]


@pytest.mark.parametrize("header", HEADERS)
def test_both_ways_say_the_same(engineer: Membership, key: Key, header: str) -> None:
    wrong, unknown = Key(key.id, "0" * 64), keys.make(771_142_358)
    for each in (unknown, wrong, key):
        warm(each)
    form = HEADERS[header]
    texts = {
        "token": key.spell(),
        "other": key.spell("_"),
        "wrong": wrong.spell(),
        "unknown": unknown.spell(),
        "cut": key.spell()[:-1],
        "basic": base64.b64encode(f":{key.spell()}".encode()).decode(),
    }
    sent = form.format(**texts) if form else form
    for query in QUERIES:
        for method in ("GET", "HEAD", "POST"):
            asked = environ(sent, query.format(account=engineer.account_id), method)
            by_shortcut, by_django = both(asked)
            assert by_shortcut == by_django, (query, method)


SCOPES = ["", "scope=users:read", "scope=tokens:read+users:read", "scope=users:write&role=Users"]


@pytest.mark.parametrize("scopes", [None, ["users:read"], ["users:read", "tokens:read"]])
@pytest.mark.parametrize("query", SCOPES)
def test_both_ways_say_the_same_of_scopes(
    engineer: Membership, issue: Issue, scopes: list[str] | None, query: str
) -> None:
    key = issue(engineer, scopes=scopes).key
    warm(key)
    by_shortcut, by_django = both(environ(f"APIKey {key.spell()}", query))
    assert by_shortcut == by_django


def test_short_lived_tokens_are_left_to_django(engineer: Membership) -> None:
    by_shortcut, _by_django = both(environ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA"))
    assert by_shortcut.status == "599 Django was asked"


@pytest.mark.parametrize("reason", ["expired", "deleted"])
def test_both_ways_say_the_same_of_an_ended_token(
    engineer: Membership, issue: Issue, now: Any, reason: str
) -> None:
    token, key = issue(engineer, at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    if reason == "deleted":
        token_services.delete(token=token, by=Actor.member(engineer), at=now)
    warm(key)
    by_shortcut, by_django = both(environ(f"APIKey {key.spell()}"))
    assert by_shortcut == by_django
    assert reason in by_django.body.decode()


def test_both_ways_say_the_same_over_https(key: Key, settings: Settings) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_SSL_REDIRECT = 3600, True
    asked = environ(f"APIKey {key.spell()}", **{"wsgi.url_scheme": "https"})

    by_shortcut, by_django = both(asked)

    assert by_shortcut == by_django
    assert "Strict-Transport-Security" in dict(by_django.headers)


def test_answer_from_memory_asks_no_database(key: Key) -> None:
    with CaptureQueriesContext(connection) as queries:
        told = say(shortcut(nobody), environ(f"APIKey {key.spell()}"))
    assert told.status == "200 OK"
    assert not queries.captured_queries


@pytest.mark.parametrize(
    "odd",
    [
        {"CONTENT_LENGTH": "5"},
        {"CONTENT_LENGTH": "-1"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"SCRIPT_NAME": "/below"},
        {"PATH_INFO": "/iam/auth/verify/"},
        {"PATH_INFO": "/iam/auth/introspect"},
        {"QUERY_STRING": "rol=1"},
        {"QUERY_STRING": "role=nobody"},
        {"QUERY_STRING": "scope=users"},
        {"QUERY_STRING": "role=Users&" + "account=1&" * 50},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7, " * 50},
    ],
)
def test_what_is_odd_goes_the_ordinary_way(key: Key, odd: dict[str, str]) -> None:
    asked = environ(f"APIKey {key.spell()}", method=odd.pop("method", "GET"))
    assert say(shortcut(nobody), {**asked, **odd}).status == "599 Django was asked"


@pytest.mark.parametrize(
    "usual",
    [
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": ""},
        {"HTTP_HOST": "\xff"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_X_FORWARDED_PROTO": "wss"},
        {"REQUEST_METHOD": "PUT"},
        {"REQUEST_METHOD": "OPTIONS"},
        {"REQUEST_METHOD": "PROPFIND"},
    ],
)
@pytest.mark.parametrize("credentials", ["good", "bad"])
def test_both_ways_say_the_same_of_what_proxies_send(
    key: Key, usual: dict[str, str], credentials: str
) -> None:
    asked = environ(f"APIKey {key.spell() if credentials == 'good' else 'x'}") | usual
    by_shortcut, by_django = both(asked)
    assert by_shortcut == by_django
    assert by_shortcut.status == ("200 OK" if credentials == "good" else "401 Unauthorized")


def test_plain_http_goes_the_ordinary_way_where_https_is_asked_for(
    key: Key, settings: Settings
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    asked = environ(f"APIKey {key.spell()}")
    assert say(shortcut(nobody), asked).status == "599 Django was asked"


@pytest.mark.parametrize(
    ("trusted", "status"), [("127.0.0.1", "200 OK"), ("10.0.0.1", "599 Django was asked")]
)
def test_only_our_proxies_tell_that_it_was_https(
    key: Key, settings: Settings, trusted: str, status: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.TRUSTED_PROXIES = parse_networks([trusted])
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    asked = environ(f"APIKey {key.spell()}", HTTP_X_FORWARDED_PROTO="https")
    assert say(shortcut(nobody), asked).status == status


def test_token_that_is_not_in_memory_goes_the_ordinary_way(
    engineer: Membership, issue: Issue
) -> None:
    asked = environ(f"APIKey {issue(engineer).key.spell()}")
    assert say(shortcut(nobody), asked).status == "599 Django was asked"


def test_with_a_bound_of_zero_everything_goes_the_ordinary_way(
    engineer: Membership, issue: Issue, settings: Settings
) -> None:
    settings.VERIFY_CACHE_SECONDS = 0
    key = issue(engineer).key
    warm(key)
    told = say(shortcut(nobody), environ(f"APIKey {key.spell()}"))
    assert told.status == "599 Django was asked"


def test_nothing_long_is_remembered(key: Key) -> None:
    asked = environ(f"APIKey {key.spell()}")
    for number in range(20):
        say(
            shortcut(nobody),
            {**asked, "QUERY_STRING": f"role={number}" + " " * MOST_CHARACTERS},
        )
    assert _read_request_key.cache_info().currsize == 0


@pytest.mark.parametrize("query", ["token={token}", "role={token}", "account={token}", "{token}"])
def test_nothing_is_remembered_of_a_token_in_the_address(key: Key, query: str) -> None:
    for host in ("localhost", "evil.example"):
        asked = environ(None, query.format(token=key.spell()), HTTP_HOST=host)
        assert say(shortcut(nobody), asked).status == "599 Django was asked"
    assert _read_request_key.cache_info().currsize == 0


def test_token_is_no_part_of_what_is_remembered_of_a_request(key: Key) -> None:
    assert "HTTP_AUTHORIZATION" not in REQUEST_PARTS
    say(shortcut(nobody), environ(f"APIKey {key.spell()}"))
    say(shortcut(nobody), environ(f"APIKey {key.spell('_')}"))
    assert _read_request_key.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("QUERY_STRING", "role=Users", "role=1"),
        ("CONTENT_LENGTH", "0", "5"),
        ("HTTP_TRANSFER_ENCODING", None, "chunked"),
    ],
)
def test_what_is_remembered_of_one_request_is_not_said_of_another(
    key: Key, name: str, one: str | None, other: str
) -> None:
    plain = environ(f"APIKey {key.spell()}")
    asked = plain if one is None else {**plain, name: one}
    for _time in range(2):
        assert say(shortcut(nobody), asked).status == "200 OK"
        assert say(shortcut(nobody), {**plain, name: other}).status != "200 OK"


@pytest.mark.parametrize("other", ["http", None])
def test_https_of_one_request_is_not_said_of_another(
    key: Key, settings: Settings, other: str | None
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.TRUSTED_PROXIES = parse_networks(["127.0.0.1"])
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    asked = environ(f"APIKey {key.spell()}")
    for _time in range(2):
        encrypted = {**asked, "HTTP_X_FORWARDED_PROTO": "wss"}
        assert say(shortcut(nobody), encrypted).status == "200 OK"
        plain = {**asked, **({"HTTP_X_FORWARDED_PROTO": other} if other else {})}
        assert say(shortcut(nobody), plain).status == "599 Django was asked"


def test_nobody_hides_behind_the_address_of_a_proxy(
    key: Key, usage_flusher: UsageFlusher, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = parse_networks(["127.0.0.1"])
    usage_flusher.buffer.pop_all()
    for hidden in ({}, {"HTTP_X_FORWARDED_FOR": ""}, {"HTTP_X_FORWARDED_FOR": "192.0.2.1, \xff"}):
        assert say(shortcut(nobody), environ(f"APIKey {key.spell()}", **hidden)).status == "200 OK"
    assert {use.address: use.times for use in usage_flusher.buffer.pop_all()} == {None: 3}


def test_every_use_is_noted_with_its_address(
    key: Key, usage_flusher: UsageFlusher, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = parse_networks(["127.0.0.1"])
    usage_flusher.buffer.pop_all()
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        asked = environ(f"APIKey {key.spell()}", HTTP_X_FORWARDED_FOR=address)
        assert say(shortcut(nobody), asked).status == "200 OK"
    used = {use.address: use.times for use in usage_flusher.buffer.pop_all()}
    assert used == {"192.0.2.1": 2, "192.0.2.2": 1}


def test_token_above_its_rate_is_told_so_in_front_of_django(
    engineer: Membership, issue: Issue, settings: Settings
) -> None:
    """Also when its entry has just been read anew, as it is each second."""
    settings.TOKEN_RATE = 2
    key = issue(engineer).key
    header = f"APIKey {key.spell()}"
    serve = shortcut(WSGIHandler())
    assert [say(serve, environ(header)).status[:3] for _time in range(3)] == ["200", "200", "429"]
    TOKENS.forget_all()
    say(serve, environ(header))  # Django reads it, and refuses it

    assert say(shortcut(nobody), environ(header)).status.startswith("429")


# --- What is refused is no use -------------------------------------------------------------------


@pytest.mark.parametrize("query", ["role=1", "account=4711"])
def test_token_that_is_not_enough_was_not_used(
    engineer: Membership, issue: Issue, settings: Settings, usage_flusher: UsageFlusher, query: str
) -> None:
    """Neither way counts it, and it takes no place of those that are."""
    settings.TOKEN_RATE = 1
    header = f"APIKey {issue(engineer, role=Role.PURGE_AND_PREFETCH_API).key.spell()}"
    for serve in (WSGIHandler(), shortcut(nobody)):
        assert say(serve, environ(header, query)).status == "403 Forbidden"
    assert sum(use.times for use in usage_flusher.buffer.pop_all()) == 0
    assert not AuditEvent.objects.filter(kind="token.used_from_new_address").exists()

    assert say(WSGIHandler(), environ(header)).status == "200 OK"
    for serve in (WSGIHandler(), shortcut(nobody)):
        assert say(serve, environ(header, query)).status == "403 Forbidden"
        assert say(serve, environ(header)).status.startswith("429")
    token = APIToken.objects.get()
    assert token.last_used_at is not None
