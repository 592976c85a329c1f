"""Verify, introspect and the portal's own API agree about every state of a token that is limited to
addresses, from everywhere, with and without its secret; and so does the fast path."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, NamedTuple

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership, User
from accounts.roles import Role
from apitokens.api.introspect import FORM
from apitokens.keys import Key
from apitokens.models import APIToken, OldSecret
from apitokens.tokens import rotation
from apitokens.tokens import services as token_services
from apitokens.verification import throttling
from apitokens.verification.verifier_keys import issue_verifier
from config.env.networks import parse_networks
from config.fast_path.introspect import _read_head
from config.fast_path.shortcut import shortcut
from config.fast_path.verify import _read_request_key
from config.server.bodies import read_bodies
from tests.config.fast_path.test_verify import Said, kept_connection, say
from tests.conftest import Issue

pytestmark = [
    pytest.mark.both,
    pytest.mark.django_db,
    pytest.mark.usefixtures("memory", kept_connection.__name__),
]

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
VERIFY, INTROSPECT, ME = "/iam/auth/verify", "/iam/auth/introspect", "/iam/clients/me"
LIST = ["203.0.113.0/24", "2001:db8::/48"]
PROXY = "192.0.2.1"


class From(NamedTuple):
    """A client's address as the server sees it."""

    peer: str
    forwarded: str | None
    is_allowed: bool
    named: str | None
    """As a resource server names it; None where it has nothing to name."""


PLACES = {
    "allowed": From("203.0.113.7", None, True, "203.0.113.7"),
    "allowed, mapped": From("::ffff:203.0.113.7", None, True, "::ffff:203.0.113.7"),
    "allowed, IPv6": From("2001:db8::7", None, True, "[2001:db8::7]:443"),
    "allowed, by a proxy": From(PROXY, "10.9.9.9, 203.0.113.7:4711", True, "203.0.113.7:4711"),
    "elsewhere": From("198.51.100.7", None, False, "198.51.100.7"),
    "elsewhere, IPv6": From("2001:db8:1::7", None, False, "2001:db8:1::7"),
    "elsewhere, by a proxy": From(PROXY, "203.0.113.7, 198.51.100.7", False, "198.51.100.7"),
    "claimed without a proxy": From("198.51.100.7", "203.0.113.7", False, "198.51.100.7"),
    "unknown": From(PROXY, "nonsense", False, None),
}


def _delete(token: APIToken, member: Membership, at: datetime) -> None:
    token_services.delete(token=token, by=OPERATOR, at=at)


def _expire(token: APIToken, member: Membership, at: datetime) -> None:
    APIToken.objects.filter(pk=token.pk).update(expires_at=at - timedelta(seconds=1))


def _deactivate(token: APIToken, member: Membership, at: datetime) -> None:
    User.objects.filter(pk=member.user_id).update(is_active=False)


def _suspend(token: APIToken, member: Membership, at: datetime) -> None:
    Membership.objects.filter(pk=member.pk).update(sso_at=at, tokens_suspended_at=at)


def _rotate(token: APIToken, member: Membership, at: datetime) -> None:
    """The key that is shown is the old one from now on, and its time has passed."""
    rotation.rotate(token=token, by=OPERATOR, at=at)
    OldSecret.objects.update(ends_at=at)


def _rotate_with_grace(token: APIToken, member: Membership, at: datetime) -> None:
    rotation.rotate(token=token, by=OPERATOR, at=at)


def _nothing(token: APIToken, member: Membership, at: datetime) -> None:
    pass


STATES: dict[str, tuple[Callable[..., None], str | None]] = {
    "good": (_nothing, None),
    "old secret that goes on": (_rotate_with_grace, None),
    "deleted": (_delete, "deleted"),
    "expired": (_expire, "expired"),
    "issuer inactive": (_deactivate, "issuer_inactive"),
    "suspended": (_suspend, "issuer_inactive"),
    "old secret that has ended": (_rotate, "rotated"),
}
ROLES = {"enough": "Users", "too low": "Administrators"}


@pytest.fixture(autouse=True)
def trusted(settings: Settings) -> Iterator[None]:
    for remembered in (_read_head, _read_request_key):
        remembered.cache_clear()
    settings.TRUSTED_PROXIES = parse_networks([PROXY])
    yield
    for remembered in (_read_head, _read_request_key):
        remembered.cache_clear()


def _environ(path: str, place: From, header: str, *, query: str = "", body: str = "") -> Any:
    facts: dict[str, Any] = {
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": place.peer,
        "HTTP_AUTHORIZATION": header,
        **({"HTTP_X_FORWARDED_FOR": place.forwarded} if place.forwarded else {}),
    }
    method = "POST" if body else "GET"
    request = RequestFactory().generic(
        method, path, body, content_type=FORM if body else "", QUERY_STRING=query, **facts
    )
    return {**request.META, "wsgi.input": BytesIO(body.encode())}


def ask(path: str, place: From, header: str, *, query: str = "", body: str = "") -> Said:
    """By Django, and by the fast path in front of it, twice: both say the same."""
    django = read_bodies(WSGIHandler())
    by_django = say(django, _environ(path, place, header, query=query, body=body))
    for _time in range(2):
        environ = _environ(path, place, header, query=query, body=body)
        assert say(shortcut(django), environ) == by_django
    return by_django


def question(key: Key, place: From) -> str:
    """What a resource server asks that was sent the token from there."""
    named = f"&client_address={place.named}" if place.named else ""
    return f"token={key.spell('_')}{named}"


def code_in(said: Said) -> str:
    return str(json.loads(said.body)["code"]) if said.body else ""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("has_secret", [True, False], ids=["secret", "no secret"])
def test_every_way_says_the_same(
    engineer: Membership,
    issue: Issue,
    now: datetime,
    state: str,
    role: str,
    has_secret: bool,
) -> None:
    token, key = issue(engineer, at=now - timedelta(hours=1), allowed_addresses=LIST)
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=now).key.spell()
    change, reason = STATES[state]
    change(token, engineer, now)
    shown = key if has_secret else Key(key.id, "0" * 64)
    for place in PLACES.values():
        throttling.forget()  # guesses at one address are limited, too
        _compare(shown, verifier, place, role, reason if has_secret else "unknown")


def _compare(shown: Key, verifier: str, place: From, role: str, reason: str | None) -> None:
    verified = ask(VERIFY, place, f"APIKey {shown.spell()}", query=f"role={ROLES[role]}")
    own = ask(ME, place, f"APIKey {shown.spell()}")
    told = ask(INTROSPECT, place, f"Bearer {verifier}", body=question(shown, place))

    if reason is not None:
        status, code = "401", reason
    elif not place.is_allowed:
        status, code = "403", "address_not_allowed"
    else:
        status, code = "200", ""
    lacks_role = not code and role == "too low"
    assert verified.status[:3] == ("403" if lacks_role else status), place
    assert code_in(verified) == ("role_too_low" if lacks_role else code), place
    assert own.status[:3] == status, place
    assert not code or code_in(own) == code, place
    is_active = reason is None and (place.is_allowed or place.named is None)
    described = json.loads(told.body)
    assert described["active"] is is_active, place
    assert described.get("allowed_addresses") == (LIST if is_active else None), place


def test_token_without_a_list_is_good_from_everywhere(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(engineer, role=Role.USERS).key
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=now).key.spell()
    for where in PLACES.values():
        assert ask(VERIFY, where, f"APIKey {key.spell()}").status == "200 OK"
        assert ask(ME, where, f"APIKey {key.spell()}").status == "200 OK"
        told = ask(INTROSPECT, where, f"Bearer {verifier}", body=question(key, where))
        assert json.loads(told.body)["active"] is True
        assert "allowed_addresses" not in json.loads(told.body)


@pytest.mark.parametrize(
    "sent",
    [
        *("client_address=", "client_address=x", "client_address=203.0.113"),
        *("client_address=203.0.113.7&client_address=203.0.113.7", "client_address=203.0.113.0/24"),
    ],
)
def test_address_that_cannot_be_read_is_not_left_out(
    engineer: Membership, issue: Issue, now: datetime, sent: str
) -> None:
    key = issue(engineer, allowed_addresses=LIST).key
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=now).key.spell()
    told = ask(
        INTROSPECT, PLACES["allowed"], f"Bearer {verifier}", body=f"token={key.spell('_')}&{sent}"
    )
    assert told.status == "400 Bad Request"
    assert "like 203.0.113.7" in json.loads(told.body)["errors"]["client_address"][0]


def test_encoded_colons_are_read_on_the_fast_path(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(engineer, allowed_addresses=LIST).key
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=now).key.spell()
    for address, is_active in {"2001%3Adb8%3a%3A7": True, "2001:db8:1%3A%3A7": False}.items():
        body = f"token={key.spell('_')}&client_address={address}"
        told = ask(INTROSPECT, PLACES["elsewhere"], f"Bearer {verifier}", body=body)
        assert json.loads(told.body)["active"] is is_active
