"""The client for Python services, with a portal that the test plays, and with a real one."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from permatoken import AsyncIntrospector, Introspector, Token, Unavailable, asgi, drf, requires
from permatoken.authorization import token_in
from permatoken.memory import Memory
from permatoken.wsgi import PermatokenMiddleware
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.portal import served_portal

GOOD, WEAK, OLD, STRANGE = "77$good", "78$weak", "79$old", "80$strange"
LIMITED, HERE, ELSEWHERE = "81$limited", "203.0.113.7", "198.51.100.7"
MEMBERS: dict[str, Any] = {
    "active": True,
    "sub": "5",
    "username": "maria@example.com",
    "account": 1,
    "role": {"id": 5, "name": "Engineers"},
    "jti": "77",
    "scope": "videos:read videos:write",
}
ANSWERS: dict[str, Any] = {
    GOOD: MEMBERS,
    WEAK: {**MEMBERS, "role": {"id": 2, "name": "Users"}},
    OLD: {**MEMBERS, "exp": 1},
    STRANGE: {**MEMBERS, "role": {"id": 99, "name": "Emperors"}},
    LIMITED: {**MEMBERS, "allowed_addresses": [HERE]},
}


class PlayedPortal:
    """Answers as the portal does, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self.status = 200
        self.headers: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.fault:
            raise self.fault
        assert request.headers["Authorization"] == "Bearer verifier_1"
        asked = httpx.QueryParams(request.content.decode())
        token = asked["token"]
        self.asked.append(token)
        if token == LIMITED and asked.get("client_address", HERE) != HERE:
            token = "unknown"
        return httpx.Response(
            self.status, json=ANSWERS.get(token, {"active": False}), headers=self.headers
        )


@pytest.fixture
def played() -> PlayedPortal:
    return PlayedPortal()


@pytest.fixture
def introspector(played: PlayedPortal) -> Introspector:
    return Introspector("http://portal", "verifier_1", transport=httpx.MockTransport(played))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("permatoken.memory.time.monotonic", clock)
    return clock


def test_good_token_is_described(introspector: Introspector) -> None:
    scopes = frozenset({"videos:read", "videos:write"})
    expected = Token(1, 5, "maria@example.com", "Engineers", 77, scopes)
    assert introspector.describe(GOOD) == expected


@pytest.mark.parametrize("text", ["1$unknown", "", "x" * 5000, "ü", OLD])
def test_anything_else_is_not_good(introspector: Introspector, text: str) -> None:
    assert introspector.describe(text) is None


@pytest.mark.parametrize("text", [GOOD, "1$unknown"])
def test_answer_is_used_again_for_a_second(
    introspector: Introspector, played: PlayedPortal, clock: Clock, text: str
) -> None:
    introspector.describe(text)
    clock.now += 0.99
    introspector.describe(text)
    assert played.asked == [text]
    clock.now += 0.01
    introspector.describe(text)
    assert played.asked == [text, text]


def test_memory_of_no_seconds_asks_each_time(played: PlayedPortal) -> None:
    asking = Introspector(
        "http://portal", "verifier_1", memory_seconds=0, transport=httpx.MockTransport(played)
    )
    asking.describe(GOOD)
    asking.describe(GOOD)
    assert played.asked == [GOOD, GOOD]


def test_memory_of_more_than_a_second_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Introspector("http://portal", "verifier_1", memory_seconds=1.1)


def test_memory_is_bounded_and_holds_no_token() -> None:
    memory = Memory(most=3)
    for number in range(5):
        memory.keep(f"{number}$secret", None, asked_at=1e12)
    assert len(memory) == 3
    assert (memory.find("0$secret"), memory.find("4$secret")) == ((False, None), (True, None))
    assert "secret" not in repr(vars(memory))


@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 401, 429, 500]
)
def test_portal_that_fails_is_no_yes_and_not_remembered(
    introspector: Introspector, played: PlayedPortal, fault: Any
) -> None:
    if isinstance(fault, int):
        played.status = fault
    else:
        played.fault = fault
    with pytest.raises(Unavailable):
        introspector.describe(GOOD)
    played.fault, played.status = None, 200
    assert introspector.describe(GOOD) is not None


@pytest.mark.parametrize(
    "answer", [{}, [], {"active": "true"}, {"active": True}, {**MEMBERS, "role": None}]
)
def test_odd_answer_is_no_yes(answer: Any) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=answer))
    asking = Introspector("http://portal", "verifier_1", transport=transport)
    with contextlib.suppress(Unavailable):
        assert asking.describe(GOOD) is None


@pytest.mark.parametrize("end", ["1e999", "[" * 100_000 + "]" * 100_000])
def test_number_that_is_none_is_no_yes(end: str) -> None:
    body = json.dumps({**MEMBERS, "exp": "END"}).replace('"END"', end)
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, text=body))
    asking = Introspector("http://portal", "verifier_1", transport=transport)
    with pytest.raises(Unavailable):
        asking.describe(GOOD)


def test_log_says_that_the_key_is_not_accepted(
    introspector: Introspector, played: PlayedPortal, caplog: pytest.LogCaptureFixture
) -> None:
    played.status = 401
    with pytest.raises(Unavailable):
        introspector.describe(GOOD)
    (record,) = (each for each in caplog.records if each.name == "permatoken")
    assert "does not accept the verifier key (401" in record.getMessage()
    assert GOOD not in record.getMessage()


@pytest.mark.parametrize("text", [f"{LIMITED} {HERE}", f'{LIMITED}", "{HERE}'])
def test_text_with_an_address_in_it_is_another_question(
    introspector: Introspector, text: str
) -> None:
    assert introspector.describe(LIMITED, HERE) is not None
    assert introspector.describe(text) is None


def test_text_that_no_form_can_hold_is_no_token(introspector: Introspector) -> None:
    assert introspector.describe("1$\ud800") is None


@pytest.mark.parametrize(("address", "is_good"), [(HERE, True), (ELSEWHERE, False), (None, True)])
def test_client_is_named_and_the_answer_is_for_it_alone(
    introspector: Introspector, address: str | None, is_good: bool
) -> None:
    for other in (HERE, ELSEWHERE, None):
        introspector.describe(LIMITED, other)
    token = introspector.describe(LIMITED, address)
    assert (token is not None) is is_good
    assert token is None or token.allowed_addresses == (HERE,)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        *(("APIKey 1$x", "1$x"), ("apikey  1$x ", "1$x"), ("Bearer 1_x", "1_x")),
        *(("Basic MTox", None), ("1$x", None), ("APIKey", None), ("", None), (None, None)),
    ],
)
def test_header_is_read(header: str | None, token: str | None) -> None:
    assert token_in(header) == token


# --- WSGI ---------------------------------------------------------------------------------------

Said = tuple[int, dict[str, str], bytes]


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    token = environ["permatoken.token"]
    return [token.email.encode() if token else b"stranger"]


def by_wsgi(application: Any, header: str | None) -> Said:
    said: list[Any] = []
    environ = {} if header is None else {"HTTP_AUTHORIZATION": header}
    body = b"".join(application(environ, lambda *facts: said.extend(facts)))
    return int(said[0].split()[0]), dict(said[1]), body


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        (f"APIKey {GOOD}", 200, None),
        *((None, 401, "missing"), ("Basic x", 401, "missing"), ("APIKey 1$x", 401, "not_active")),
    ],
)
def test_wsgi_application_is_for_good_tokens(
    introspector: Introspector, header: str | None, status: int, code: str | None
) -> None:
    got, headers, body = by_wsgi(PermatokenMiddleware(hello, introspector), header)
    assert (got, headers.get("X-Auth-Error")) == (status, code)
    assert (body == b"maria@example.com") == (status == 200)
    assert headers.get("WWW-Authenticate", "APIKey").startswith("APIKey") or status == 200


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        *((HERE, 200, None), (ELSEWHERE, 401, "not_active"), (None, 403, "address_not_allowed")),
        ("not configured", 403, "address_not_allowed"),
    ],
)
def test_limited_token_gets_in_from_its_addresses_alone(
    introspector: Introspector, address: str | None, status: int, code: str | None
) -> None:
    tell = None if address == "not configured" else lambda _environ: address
    application = PermatokenMiddleware(hello, introspector, client_address=tell)
    got, headers, _body = by_wsgi(application, f"APIKey {LIMITED}")
    assert (got, headers.get("X-Auth-Error")) == (status, code)


def test_wsgi_application_is_closed_while_the_portal_is_away(
    introspector: Introspector, played: PlayedPortal
) -> None:
    played.fault = httpx.ConnectError("refused")
    status, headers, _body = by_wsgi(PermatokenMiddleware(hello, introspector), f"APIKey {GOOD}")
    assert (status, headers["Retry-After"]) == (503, "1")


def test_who_asks_too_often_is_told_to_wait(
    introspector: Introspector, played: PlayedPortal
) -> None:
    played.status, played.headers = 429, {"Retry-After": "7"}
    status, headers, _body = by_wsgi(PermatokenMiddleware(hello, introspector), f"APIKey {GOOD}")
    assert (status, headers["Retry-After"], headers["X-Auth-Error"]) == (429, "7", "too_many")


@pytest.mark.parametrize(
    ("needed", "token", "status"),
    [
        ({"role": "Engineers"}, GOOD, 200),
        ({"role": "Users"}, GOOD, 200),
        ({"role": "Administrators"}, GOOD, 403),
        ({"role": "Engineers"}, WEAK, 403),
        ({"role": "Users"}, STRANGE, 403),
        ({"scope": "videos:read"}, GOOD, 200),
        ({"scope": "videos"}, GOOD, 403),
        ({"account": 1}, GOOD, 200),
        ({"account": 2}, GOOD, 403),
        ({}, None, 401),
    ],
)
def test_requirement_is_held(
    introspector: Introspector, needed: dict[str, Any], token: str | None, status: int
) -> None:
    application = PermatokenMiddleware(requires(**needed)(hello), introspector, is_optional=True)
    header = None if token is None else f"APIKey {token}"
    assert by_wsgi(application, header)[0] == status


def test_requirement_of_a_role_that_there_is_not_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="There is no role 'Engineer'"):
        requires(role="Engineer")


# --- ASGI ---------------------------------------------------------------------------------------


@requires(role="Engineers")
async def hello_later(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["permatoken.token"].email.encode()})


def by_asgi(played: PlayedPortal, *headers: str, kind: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        transport = httpx.MockTransport(played)
        asking = AsyncIntrospector("http://portal", "verifier_1", transport=transport)
        scope = {
            "type": kind,
            "asgi": {},
            "headers": [(b"authorization", header.encode()) for header in headers],
        }

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        await asgi.PermatokenMiddleware(hello_later, asking)(scope, receive, send)
        await asking.close()

    asyncio.run(run())
    return sent


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([f"APIKey {GOOD}"], 200),
        ([f"APIKey {WEAK}"], 403),
        (["APIKey 1$x"], 401),
        ([], 401),
        ([f"APIKey {GOOD}", f"APIKey {WEAK}"], 401),
    ],
)
def test_asgi_application_is_for_good_tokens(
    played: PlayedPortal, headers: list[str], status: int
) -> None:
    assert by_asgi(played, *headers)[0]["status"] == status


def test_websocket_without_a_token_is_closed_before_it_opens(played: PlayedPortal) -> None:
    (closed,) = by_asgi(played, kind="websocket")
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


def test_way_that_has_no_place_for_a_token_lets_nobody_in(played: PlayedPortal) -> None:
    with pytest.raises(ValueError, match="Nobody gets in by 'webtransport'"):
        by_asgi(played, f"APIKey {GOOD}", kind="webtransport")


# --- Django and its REST framework ----------------------------------------------------------------


@requires(role="Engineers")
def view(_request: Any) -> HttpResponse:
    return HttpResponse("hello")


class View(APIView):
    authentication_classes = [drf.PermatokenAuthentication]

    @requires(role="Engineers")
    def get(self, request: Any) -> Response:
        return Response({"email": request.user.email, "account": request.auth.account})


@pytest.fixture
def of_process(introspector: Introspector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drf, "introspector", lambda: introspector)


@pytest.mark.parametrize(("token", "status"), [(GOOD, 200), (WEAK, 403), (None, 401), ("1$x", 401)])
@pytest.mark.usefixtures("of_process")
def test_view_of_the_rest_framework_is_for_good_tokens(token: str | None, status: int) -> None:
    headers = {} if token is None else {"Authorization": f"APIKey {token}"}
    answer = View.as_view()(RequestFactory().get("/", headers=headers))
    assert answer.status_code == status
    if status == 200:
        assert answer.data == {"email": "maria@example.com", "account": 1}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"client_address": lambda request: request.META["REMOTE_ADDR"]}, 401),
        ({"client_address": lambda _request: HERE}, 200),
        ({}, 403),
    ],
)
@pytest.mark.usefixtures("of_process")
def test_view_of_the_rest_framework_names_the_client(
    settings: Any, options: dict[str, Any], status: int
) -> None:
    settings.PERMATOKEN = options
    request = RequestFactory().get("/", headers={"Authorization": f"APIKey {LIMITED}"})
    assert View.as_view()(request).status_code == status


@pytest.mark.usefixtures("of_process")
def test_view_of_the_rest_framework_is_closed_while_the_portal_is_away(
    played: PlayedPortal,
) -> None:
    played.fault = httpx.ConnectError("refused")
    request = RequestFactory().get("/", headers={"Authorization": f"APIKey {GOOD}"})
    assert View.as_view()(request).status_code == 503
    played.fault, played.status, played.headers = None, 429, {"Retry-After": "7"}
    answer = View.as_view()(request)
    assert (answer.status_code, answer["Retry-After"]) == (429, "7")


def test_plain_view_of_django_finds_the_token_of_the_middleware(
    introspector: Introspector,
) -> None:
    request = RequestFactory().get("/")
    assert view(request).status_code == 401
    request.META["permatoken.token"] = introspector.describe(WEAK)
    assert (view(request).status_code, view(request)["X-Auth-Error"]) == (403, "role_too_low")
    request.META["permatoken.token"] = introspector.describe(GOOD)
    assert view(request).content == b"hello"


# --- A real portal --------------------------------------------------------------------------------


@pytest.fixture
def issued(tmp_path: Path) -> Iterator[tuple[str, Callable[..., str]]]:
    with served_portal(tmp_path, REFUSAL_RATE="0") as portal:
        yield portal.url, portal.shell.command


@pytest.mark.contract
def test_real_portal_is_understood(issued: tuple[str, Callable[..., str]]) -> None:
    url, command = issued
    key = command("issue_verifier", "Video storage").split()[-1]
    token = command(
        *("issue_token", "--account", "Example Inc.", "--issuer", "admin@example.com"),
        *("--role", "Engineers", "--name", "Client"),
    ).strip()
    asking = Introspector(url, key, memory_seconds=0)
    found = asking.describe(token)
    assert found is not None
    assert (found.id, found.role) == (int(token.partition("$")[0]), "Engineers")
    assert found.covers("Users")
    command("revoke_tokens", ids=[found.id], yes=True)
    assert asking.describe(token) is None
    asking.close()
