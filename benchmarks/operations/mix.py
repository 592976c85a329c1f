"""What is asked of the portal under load, and in which parts: verification by other systems, pages
by people, calls by programs, and deeds that send mails."""

import http.client
import itertools
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from tests.visitor import Visitor

PATIENCE = 10.0
"""Seconds for an answer. What takes longer counts as none."""
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {
    "verify": 72,
    "verify, wrong token": 5,
    "introspect": 15,
    "list of tokens (page)": 2,
    "audit log (page)": 1,
    "list of tokens (API)": 3,
    "create a token (API)": 1,
    "delete a token (API, mails)": 1,
}
"""Of a hundred requests. Other systems ask whether a token is good each time that one is used: that
is nine requests of ten. Pages are opened by people, and tokens are made and deleted by programs: at
200 requests a second there are 6 pages, 6 lists by API, 2 new tokens and 2 deleted ones with their
mails each second, as of some thousand people at work."""


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None
    good: tuple[int, ...] = (200,)
    """Statuses of a right answer."""


class Answer(NamedTuple):
    """A status, or why there was none; and the seconds that it took."""

    status: int | str
    seconds: float
    is_good: bool
    body: bytes = b""


class Kind(NamedTuple):
    """One kind of request, and its part of all, in hundredths."""

    name: str
    part: int
    make: Callable[[], Request]


def _kind(name: str, make: Callable[[], Request]) -> Kind:
    return Kind(name, PARTS[name], make)


class Caller:
    """A client that keeps its connection, as other systems do. One for each thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "localhost", parts.port or 80
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, request: Request, clock: Callable[[], float]) -> Answer:
        """Ask once; once more if the kept connection had been closed meanwhile."""
        began = clock()
        for is_last in (self._connection is None, True):
            try:
                status, body = self._send(request)
            except (OSError, http.client.HTTPException) as fault:
                self.close()
                if is_last or not isinstance(fault, (http.client.BadStatusLine, ConnectionError)):
                    return Answer(type(fault).__name__, clock() - began, is_good=False)
            else:
                return Answer(status, clock() - began, status in request.good, body)
        raise AssertionError

    def _send(self, request: Request) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {"Host": f"localhost:{self._port}", **request.headers}
        self._connection.request(request.method, request.path, request.body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class Mix:
    """All kinds, for a portal with the demo in it."""

    def __init__(
        self, url: str, *, token: str, verifier: str, issuer: int | None, account: int = 1
    ) -> None:
        """`issuer`: the id of a service account with a contact, who is mailed about its tokens;
        without one they are the caller's own. `account`: that of the token."""
        self.url, self._account, self._issuer = url, account, issuer
        self._own = {"Authorization": f"APIKey {token}"}
        self._verifier = {"Authorization": f"Bearer {verifier}", **FORM}
        self._asked = urlencode({"token": token}).encode()
        self._number = itertools.count()
        self._made: list[int] = []
        self._lock = threading.Lock()
        person = Visitor(url)
        person.sign_in("admin@example.com")
        self._cookie = {"Cookie": person.cookie}
        self.kinds = [
            _kind("verify", lambda: Request("GET", "/iam/auth/verify", self._own)),
            _kind("verify, wrong token", self._wrong),
            _kind("introspect", self._introspect),
            _kind("list of tokens (page)", lambda: self._page("api-tokens/")),
            _kind("audit log (page)", lambda: self._page("audit-log/")),
            _kind("list of tokens (API)", lambda: self._tokens("GET")),
            _kind("create a token (API)", self._create),
            _kind("delete a token (API, mails)", self._delete),
        ]

    def turns(self) -> list[Kind]:
        """A hundred requests in which each kind has its part, spread evenly."""
        places = [
            ((number + 0.5) / kind.part, kind) for kind in self.kinds for number in range(kind.part)
        ]
        return [kind for _place, kind in sorted(places, key=lambda each: each[0])]

    def learn(self, kind: Kind, answer: Answer) -> None:
        """Remember the tokens that were made, to delete them."""
        if kind.name.startswith("create") and answer.status == 200:
            made: dict[str, Any] = json.loads(answer.body)
            with self._lock:
                self._made.append(int(re.split(r"[$_]", made["token"])[0]))

    def _wrong(self) -> Request:
        secret = f"{next(self._number):064x}"
        wrong = {"Authorization": f"APIKey 999999999${secret}"}
        return Request("GET", "/iam/auth/verify", wrong, good=(401, 429))

    def _introspect(self) -> Request:
        return Request("POST", "/iam/auth/introspect", self._verifier, self._asked)

    def _page(self, name: str) -> Request:
        return Request("GET", f"/accounts/1/{name}", self._cookie)

    def _tokens(self, method: str, path: str = "?limit=25", **more: Any) -> Request:
        address = f"/iam/v2/clients/{self._account}/tokens{path}"
        return Request(method, address, {**self._own, **JSON}, **more)

    def _create(self) -> Request:
        wanted = {
            "name": f"Load {next(self._number)}",
            "exp_date": None,
            "client_user": {"role": {"name": "Users"}},
            **({} if self._issuer is None else {"issuer": self._issuer}),
        }
        return self._tokens("POST", "", body=json.dumps(wanted).encode())

    def _delete(self) -> Request:
        with self._lock:
            token = self._made.pop(0) if self._made else 1
        return self._tokens("DELETE", f"/{token}", good=(204, 404))
