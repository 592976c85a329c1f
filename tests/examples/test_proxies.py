"""A service behind each of five real proxies, as examples/proxies has it, and our portal."""

import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.conftest import give_up
from tests.documentation.blocks import block_at
from tests.examples import proxies
from tests.portal import Portal, free_port, served_portal

pytestmark = pytest.mark.proxies

WHOSE = (
    "X-Auth-Token-Id",
    "X-Auth-Account-Id",
    "X-Auth-User-Id",
    "X-Auth-User-Email",
    "X-Auth-Role",
    "X-Auth-Scopes",
)
FORGED = "forged"
FORWARDED = [
    f"X-Forwarded-{name}" for name in ("For", "Host", "Port", "Prefix", "Proto", "Server", "Ssl")
]


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def reached(self) -> dict[str, Any]:
        """What reached the service, which answers with it."""
        return dict(json.loads(self.body))

    def header(self, name: str) -> list[str]:
        """The values with which a header reached the service."""
        return [value for key, value in self.reached["headers"] if key.lower() == name.lower()]


class Site(NamedTuple):
    """A proxy in front of the service, and the portal that it asks."""

    name: str
    port: int
    portal: Portal

    def ask_in_lines(self, method: str, path: str, *lines: tuple[str, str]) -> Answer:
        """With these lines of headers, of which several may have one name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest(method, path)
            for name, value in lines:
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return Answer(answer.status, answer.msg, answer.read())

    def ask(
        self, method: str, path: str, token: str | None = None, *, body: Any = None, **headers: str
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {name.replace("__", "."): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"APIKey {token}"
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=given)
            answer = connection.getresponse()
            return Answer(answer.status, answer.msg, answer.read())

    def issue(self, role: str, *options: str) -> str:
        issued = self.portal.shell.command(
            *("issue_token", "--account", "Example Inc.", "--issuer", "admin@example.com"),
            *("--role", role, "--name", "Proxy", *options),
        )
        return issued.strip()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    data_dir = tmp_path_factory.mktemp("portal")
    settings, _service = proxies.starting_portal_and_service()
    name, _equals, value = settings.removesuffix(" make run").partition("=")
    with served_portal(data_dir, **{name: value}, REFUSAL_RATE="0") as running:
        yield running


@pytest.fixture(scope="module")
def service_port() -> Iterator[int]:
    with proxies.service() as port:
        yield port


@pytest.fixture(scope="module", params=proxies.NAMES)
def site(request: pytest.FixtureRequest, portal: Portal, service_port: int) -> Iterator[Site]:
    insist_on(request.param)
    portal_port = urlsplit(portal.url).port or 0
    with proxies.proxy(request.param, portal_port=portal_port, service_port=service_port) as port:
        yield Site(request.param, port, portal)


def insist_on(name: str) -> None:
    if proxies.path_of(name) is None:
        give_up(f"needs {name}: make prepare-dev, or apt-get install nginx-light haproxy")


@pytest.fixture(scope="module")
def token(site: Site) -> str:
    return site.issue("Engineers")


def test_good_token_reaches_the_service_with_whose_it_is(site: Site, token: str) -> None:
    good = site.ask("GET", "/page?a=1", token)
    assert (good.status, good.reached["path"]) == (200, "/page?a=1")
    assert good.header("X-Auth-Token-Id") == [token.partition("$")[0]]
    assert good.header("X-Auth-Role") == ["Engineers"]
    assert good.header("X-Auth-User-Email") == ["admin@example.com"]
    assert all(len(good.header(name)) == 1 for name in WHOSE)


def test_request_of_the_page_reaches_the_service(site: Site, token: str) -> None:
    block = block_at("docs/proxies.md: curl -i")
    command = block.filled({"771142358$…": token, ":8080/": f":{site.port}/"}, {})

    done = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("HTTP/1.1 200")
    assert token.partition("$")[0] in done.stdout


def test_service_never_sees_the_token(site: Site, token: str) -> None:
    good = site.ask("GET", "/page", token)
    assert token.partition("$")[2] not in good.body.decode()


@pytest.mark.parametrize("name", WHOSE)
def test_forged_header_is_replaced(site: Site, token: str, name: str) -> None:
    aliases = {name: FORGED, name.replace("-", "_"): FORGED, name.replace("-", "__"): FORGED}
    assert FORGED not in site.ask("GET", "/page", token, **aliases).body.decode()


@pytest.mark.parametrize("name", [*FORWARDED, "X-Real-IP"])
def test_forged_header_about_the_way_is_replaced(site: Site, token: str, name: str) -> None:
    """And no other spelling of it gets through."""
    for spelling in (name, name.replace("-", "_"), name.replace("-", "__")):
        good = site.ask("GET", "/page", token, **{spelling: FORGED})
        assert good.status == 200
        assert FORGED not in good.body.decode(), spelling


def test_forged_address_and_scheme_are_replaced(site: Site, token: str) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=203.0.113.9",
    }
    good = site.ask("GET", "/page", token, **forged)
    assert good.status == 200
    assert "203.0.113.9" not in good.body.decode()
    assert good.header("X-Forwarded-For") == [own_address(site)]
    assert good.header("X-Forwarded-Proto") in (["http"], [])


def test_portal_knows_the_address_of_the_client(site: Site) -> None:
    token = site.issue("Users")
    site.ask("GET", "/page", token, **{"X-Forwarded-For": "203.0.113.9"})
    code = (
        "from apitokens.models import APIToken;"
        f"print(APIToken.objects.get(pk={token.partition('$')[0]}).last_used_address)"
    )
    assert site.portal.shell.run(code).strip() == own_address(site)


def own_address(site: Site) -> str:
    """The address of this machine as the proxy knows it. Envoy puts another one of the machine in
    place of 127.0.0.1."""
    if site.name != "envoy":
        return "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("authorization", [None, "nonsense", "771142358$eyJ0eXAiOiJKV"])
def test_nobody_gets_in_without_a_token(site: Site, authorization: str | None) -> None:
    refused = site.ask("GET", "/page", authorization)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("APIKey realm=")
    assert refused.headers["X-Auth-Error"] == ("malformed" if authorization else "missing")


def test_deleted_token_is_refused_when_its_deletion_is_answered(site: Site) -> None:
    token = site.issue("Users")
    assert site.ask("GET", "/page", token).status == 200
    site.portal.shell.command("revoke_tokens", ids=[int(token.partition("$")[0])], yes=True)
    refused = site.ask("GET", "/page", token)
    assert (refused.status, refused.headers["X-Auth-Error"]) == (401, "deleted")


@pytest.mark.parametrize(
    "path", ["/admin/page", "/%61dmin/page", "/admin/page?role=Users", "/admin", "/admin?"]
)
def test_role_that_is_too_weak_is_refused(site: Site, token: str, path: str) -> None:
    refused = site.ask("GET", path, token)
    assert (refused.status, refused.headers["X-Auth-Error"]) == (403, "role_too_low")


def test_role_that_is_strong_enough_gets_in(site: Site) -> None:
    assert site.ask("GET", "/admin/page", site.issue("Administrators")).status == 200


def test_scope_is_needed_where_the_example_asks_for_it(site: Site, token: str) -> None:
    refused = site.ask("GET", "/purge/page", site.issue("Users", "--scope", "tokens:read"))
    assert (refused.status, refused.headers["X-Auth-Error"]) == (403, "scope_missing")
    assert site.ask("GET", "/purge/page", token).status == 200  # it is not limited


@pytest.mark.parametrize(
    "path",
    [
        *("/x/../admin/p", "//admin/p", "/x/%2e%2e/admin/p", "/x%2f..%2fadmin/p", "/./admin/p"),
        *("/admin;x/p", "/;x/admin/p", "/;/admin/p", "/x/%2e%2e%3bx/admin/p", "/%3bx/admin/p"),
    ],
)
def test_address_in_disguise_gets_nobody_in(site: Site, token: str, path: str) -> None:
    """Refused as what it is or as what it stands for."""
    assert site.ask("GET", path, token).status in (301, 307, 308, 400, 403, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_is_asked_about_alike(site: Site, token: str, method: str) -> None:
    good = site.ask(method, "/page", token, body=b"x" * 300_000)
    assert (good.status, good.reached["method"], good.reached["bytes"]) == (200, method, 300_000)
    assert site.ask(method, "/page").status == 401


def test_body_in_chunks_arrives(site: Site, token: str) -> None:
    good = site.ask("POST", "/page", token, body=iter([b"x" * 1000] * 3))
    assert (good.status, good.reached["bytes"]) == (200, 3000)


def test_head_has_no_body(site: Site, token: str) -> None:
    good, refused = site.ask("HEAD", "/page", token), site.ask("HEAD", "/page")
    assert (good.status, good.body, refused.status, refused.body) == (200, b"", 401, b"")


def test_preflight_needs_no_token_and_carries_no_name(site: Site) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Origin": "https://app.example.com"}
    let = site.ask("OPTIONS", "/page", **asked, **dict.fromkeys(WHOSE, FORGED))
    assert (let.status, let.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert FORGED not in let.body.decode()


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_preflight_cannot_be_taken_for_another_method(site: Site, method: str) -> None:
    dashed = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    names = [each.replace("-", other) for each in dashed for other in ("-", "_", ".")]
    asked = {"Access-Control-Request-Method": "POST", "Origin": "https://app.example.com"}
    sent = {**asked, **dict.fromkeys(names, method)}
    let = site.ask_in_lines("OPTIONS", "/page", *sent.items())
    assert let.status == 200
    assert not any(let.header(name) for name in names)


def test_other_request_may_say_what_it_is_to_be_taken_for(site: Site, token: str) -> None:
    good = site.ask("POST", "/page", token, **{"X-HTTP-Method-Override": "PATCH"})
    assert good.header("X-HTTP-Method-Override") == ["PATCH"]


PROTOCOLS = {
    "h2c": ["h2c"],
    "one line": ["h2c, websocket"],
    "one line, turned": ["websocket, h2c"],
    "two lines": ["h2c", "websocket"],
    "two lines, turned": ["websocket", "h2c"],
    "another": ["TLS/1.0, websocket"],
}


@pytest.mark.parametrize("protocols", PROTOCOLS)
def test_only_protocol_to_change_to_is_that_of_websockets(
    site: Site, token: str, protocols: str
) -> None:
    """In another one a client could hide requests that nobody asks about."""
    answer = site.ask_in_lines(
        "GET",
        "/page",
        ("Authorization", f"APIKey {token}"),
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("HTTP2-Settings", "AA"),
        *(("Upgrade", protocol) for protocol in PROTOCOLS[protocols]),
    )
    assert answer.status in (200, 400, 403)
    assert answer.status != 200 or answer.header("Upgrade") in ([], ["websocket"])


def test_preflight_opens_no_websocket(site: Site) -> None:
    """About that nobody asks."""
    lines = {
        "Access-Control-Request-Method": "GET",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    answer = site.ask_in_lines("OPTIONS", "/socket", *lines.items())
    assert answer.status in (200, 401)
    assert answer.status != 200 or not answer.header("Upgrade")


@pytest.mark.parametrize("name", WHOSE)
def test_client_takes_no_header_of_ours_away(site: Site, token: str, name: str) -> None:
    """Those that Connection names go no further than to the next."""
    good = site.ask("GET", "/page", token, Connection=f"close, {name}")
    assert (good.status, len(good.header(name))) == (200, 1)


def test_any_host_is_asked_about(site: Site, token: str) -> None:
    assert site.ask("GET", "/page", token, Host="shop.example.com").status == 200


def test_long_header_breaks_nothing(site: Site, token: str) -> None:
    long = {"X-Long": "x" * 12_000}
    assert site.ask("GET", "/page", token, **long).status in (200, 400, 431)
    assert site.ask("GET", "/page", **long).status in (400, 401, 431)
    assert site.ask("GET", "/page", "1$" + "x" * 12_000).status in (400, 401, 431)
    assert site.ask("GET", "/page", token).status == 200


@pytest.mark.parametrize("is_good", [True, False])
def test_websocket_needs_a_token(site: Site, token: str, is_good: bool) -> None:
    authorization = f"Authorization: APIKey {token}\r\n" if is_good else ""
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as client:
        key = base64.b64encode(os.urandom(16)).decode()
        client.sendall(
            f"GET /socket HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = client.recv(4096)
        assert head.split()[1] == (b"101" if is_good else b"401")
        if is_good:
            client.sendall(b"\x81\x85\x00\x00\x00\x00hello")
            with client.makefile("rb") as echo:
                assert echo.read(11) == b"\x81\x85\x00\x00\x00\x00hello"


def test_connections_to_the_portal_are_kept(site: Site, token: str) -> None:
    if site.name == "haproxy":
        pytest.skip("its httpclient opens one for each question")
    site.ask("GET", "/page", token)
    before = _connections(site)
    for _time in range(50):
        site.ask("GET", "/page", token)
    assert len(_connections(site) - before) < 10


def _connections(site: Site) -> set[int]:
    """The local ports of connections to the portal, also those that have just been closed."""
    port = urlsplit(site.portal.url).port or 0
    lines = map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {int(line[1][-4:], 16) for line in lines if int(line[2][-4:], 16) == port}


@pytest.mark.parametrize("name", proxies.NAMES)
def test_nobody_gets_in_while_the_portal_is_away(name: str, service_port: int) -> None:
    insist_on(name)
    with proxies.proxy(name, portal_port=free_port(), service_port=service_port) as port:
        assert status_of_a_question(port) == (500 if name == "traefik" else 503)


@pytest.mark.parametrize("name", [each for each in proxies.NAMES if each != "traefik"])
def test_nobody_gets_in_while_the_portal_hangs(name: str, service_port: int) -> None:
    """It takes connections and does not answer. (Traefik waits so long that it would not seem to
    have started.)"""
    insist_on(name)
    with (
        socket.create_server(("127.0.0.1", 0), backlog=50) as hung,
        proxies.proxy(name, portal_port=hung.getsockname()[1], service_port=service_port) as port,
    ):
        assert status_of_a_question(port) == (500 if name == "traefik" else 503)


@pytest.mark.parametrize(
    "broken",
    [
        ("local authorization = txn.http", 'error("broken")\n    local authorization = txn.http'),
        ("httpclient()", "httpclient"),
    ],
    ids=["before the question", "in the question"],
)
def test_nobody_gets_in_if_haproxys_own_part_fails(
    portal: Portal, service_port: int, broken: tuple[str, str]
) -> None:
    insist_on("haproxy")
    port = urlsplit(portal.url).port or 0
    started = proxies.proxy("haproxy", portal_port=port, service_port=service_port, broken=broken)
    with started as port:
        assert status_of_a_question(port) == 503


def status_of_a_question(port: int) -> int:
    """Traefik answers 500 and cannot be told otherwise."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/page", headers={"Authorization": "APIKey 1$x"})
        return connection.getresponse().status
