"""The contestants, and the requests that measure them."""

from typing import Any, NamedTuple

from benchmarks.verify.load import Request

PEERS = {
    "/floor": "A bare Django view that answers 200",
    "/drf": "Django REST framework, no authentication",
    "/drf-token": "Django REST framework, TokenAuthentication",
    "/knox": "django-rest-knox",
    "/api-key": "djangorestframework-api-key",
    "/oauth2": "django-oauth-toolkit, bearer",
    "/simplejwt": "djangorestframework-simplejwt",
}
FLOOR = PEERS["/floor"]
HOT = "verify, hot"
COLD = "verify, cold"
HOT_INTROSPECTION = "introspect, hot"
CLIENT_NAMED = f"{HOT_INTROSPECTION}, client named"
LIMITED = {name: f"{name}, limited" for name in (HOT, HOT_INTROSPECTION, CLIENT_NAMED)}
"""The same question about a token that is limited to scopes and addresses."""
ROTATED, OLD_SECRET = f"{HOT}, rotated", f"{HOT}, old secret"
"""Both secrets of a token after a rotation, while the old one goes on."""
UNCOUNTED = f"{HOT}, uncounted"
"""The same without counting it for metrics."""
REFUSED = ("verify, wrong secret", "verify, unknown id", "verify, malformed")
AGAIN = (FLOOR, HOT, COLD)
"""Measured again as tables grow."""
CEILING = "granian, the same answer without any work"
NAMED = "&client_address=127.0.0.1"
FAR_LIMIT = "nginx, `return 200`"
"""Over loopback only: it is no WSGI application."""


TEXTS = ("good", "limited", "wrong", "unknown", "malformed", "rotated", "old")
"""What is planted, and asked about."""


class Contestant(NamedTuple):
    """One measured case. `stall`: which application serves it. `unseen`: each request has a token
    of its own."""

    name: str
    stall: str
    requests: list[Request]
    status: str = "200"
    unseen: bool = False


def peers(authorizations: dict[str, str]) -> list[Contestant]:
    return [
        Contestant(PEERS[path], "peers", [_get(path, authorization)])
        for path, authorization in authorizations.items()
    ]


def limits() -> list[Contestant]:
    """What nobody can better in their place."""
    request = _verify("100000000$x")
    return [Contestant(CEILING, "constant", [request]), Contestant(FAR_LIMIT, "nginx", [request])]


def verifications(tokens: list[str]) -> list[Request]:
    return [_verify(token) for token in tokens]


def portal(planted: dict[str, Any]) -> list[Contestant]:
    """Ours. "Cold" is a token that the process has never seen."""
    good, limited, wrong, unknown, malformed, rotated, old = (
        [_verify(planted[each])] for each in TEXTS
    )
    return [
        Contestant(HOT, "portal", good),
        Contestant(UNCOUNTED, "uncounted", good),
        Contestant(LIMITED[HOT], "portal", limited),
        Contestant(ROTATED, "portal", rotated),
        Contestant(OLD_SECRET, "portal", old),
        Contestant(COLD, "portal", [_verify(each) for each in planted["unseen"]], unseen=True),
        Contestant("verify, asking the database each time", "unleased", good),
        *(
            Contestant(name, "portal", request, status="401")
            for name, request in zip(REFUSED, (wrong, unknown, malformed), strict=True)
        ),
        Contestant(HOT_INTROSPECTION, "portal", [_introspect(planted, "good")]),
        Contestant(LIMITED[HOT_INTROSPECTION], "portal", [_introspect(planted, "limited")]),
        Contestant(CLIENT_NAMED, "portal", [_introspect(planted, "good", NAMED)]),
        Contestant(LIMITED[CLIENT_NAMED], "portal", [_introspect(planted, "limited", NAMED)]),
    ]


def _get(path: str, authorization: str) -> Request:
    return {"method": "GET", "path": path, "authorization": authorization}


def _verify(token: str) -> Request:
    return _get("/iam/auth/verify", f"APIKey {token}")


def _introspect(planted: dict[str, Any], token: str, named: str = "") -> Request:
    return {
        "method": "POST",
        "path": "/iam/auth/introspect",
        "authorization": f"Bearer {planted['verifier']}",
        "body": f"token={planted[token].replace('$', '%24')}{named}",
    }
