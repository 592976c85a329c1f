"""Verification, introspection and the API agree about every reason to refuse a token, and about
all of them together; and tell none of them to who lacks its secret."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain, combinations
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens import keys
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.scopes.services import ScopeFacts, register
from apitokens.tokens import rotation
from apitokens.tokens.rotation import Grace
from apitokens.verification import verifier_keys
from apitokens.verification.verifier_keys import issue_verifier
from tests.conftest import Issue

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
NEEDED, OTHER = "tokens:read", "users:read"

FACTS: dict[str, Callable[[APIToken, datetime], Any]] = {
    "deleted": lambda token, at: _tokens(token).update(deleted_at=at),
    "expired": lambda token, at: _tokens(token).update(
        created_at=at - timedelta(days=2), expires_at=at - timedelta(days=1)
    ),
    "deactivated": lambda token, _at: User.everyone.filter(pk=token.issuer.user_id).update(
        is_active=False
    ),
    "removed": lambda token, at: _issuers(token).update(removed_at=at),
    "closed": lambda token, at: Account.objects.filter(pk=token.account_id).update(closed_at=at),
    "suspended": lambda token, at: _issuers(token).update(sso_at=at, tokens_suspended_at=at),
    "rotated": lambda token, at: rotation.rotate(
        token=token, by=OPERATOR, grace=Grace.NONE, at=at - timedelta(minutes=1)
    ),
    "elsewhere": lambda token, _at: _tokens(token).update(allowed_addresses="192.0.2.1"),
    "limited": lambda token, _at: _tokens(token).update(scopes=OTHER),
}
"""What may be true of a token: each is a reason to refuse it. A new reason gets a line here and its
place in `CODES`."""
FIRST = ["rotated"]
"""What can be done to a good token only."""
CODES = {
    "deleted": "deleted",
    "expired": "expired",
    "rotated": "rotated",
    "deactivated": "issuer_inactive",
    "removed": "issuer_inactive",
    "closed": "issuer_inactive",
    "suspended": "issuer_inactive",
    "elsewhere": "address_not_allowed",
    "limited": "scope_missing",
}
"""The code that is told of each: of several facts that of the first here."""


def _tokens(token: APIToken) -> Any:
    return APIToken.objects.filter(pk=token.pk)


def _issuers(token: APIToken) -> Any:
    return Membership.everyone.filter(pk=token.issuer_id)


def _subsets() -> list[tuple[str, ...]]:
    numbers = range(len(FACTS) + 1)
    return [*chain.from_iterable(combinations(FACTS, number) for number in numbers)]


class Asked:
    """A token, and the three who are asked about it."""

    def __init__(self, engineer: Membership, issue: Issue, at: datetime) -> None:
        self.token, self.key = issue(engineer, role=Role.USERS, at=at - timedelta(days=1))
        scope = ScopeFacts("read", "Read")
        service = register(
            account=engineer.account, code="cdn", name="CDN", scopes=[scope], by=OPERATOR, at=at
        )
        caller = issue_verifier(name="CDN", service=service, by=OPERATOR, at=at).key.spell("_")
        self.caller = {"Authorization": f"Bearer {caller}"}

    def verify(self, key: Key) -> str:
        answer = self._get(f"/iam/auth/verify?scope={NEEDED}", key)
        return "" if answer.status_code == 200 else str(answer.json()["code"])

    def api(self, key: Key) -> str:
        address = f"/iam/clients/{self.token.account_id}/tokens/{self.token.pk}"
        answer = self._get(address, key)
        return "" if answer.status_code == 200 else str(answer.json()["code"])

    def introspect(self, key: Key) -> bool:
        """Of who is bound to another service than the token is limited to."""
        form = "application/x-www-form-urlencoded"
        body = urlencode({"token": key.spell(), "client_address": "127.0.0.1"})
        answer = Client().post("/iam/auth/introspect", body, form, headers=self.caller)
        return bool(answer.json()["active"])

    def _get(self, address: str, key: Key) -> Any:
        return Client().get(address, headers={"Authorization": f"APIKey {key.spell()}"})


@pytest.fixture
def asked(engineer: Membership, issue: Issue, now: datetime) -> Asked:
    return Asked(engineer, issue, now)


def _make_true(facts: tuple[str, ...], token: APIToken, at: datetime) -> None:
    for fact in sorted(facts, key=lambda each: each not in FIRST):
        FACTS[fact](token, at)


@pytest.mark.parametrize("facts", _subsets(), ids="+".join)
def test_all_three_agree(asked: Asked, now: datetime, facts: tuple[str, ...]) -> None:
    _make_true(facts, asked.token, now)
    code = next((CODES[fact] for fact in CODES if fact in facts), "")
    assert asked.verify(asked.key) == code
    assert asked.api(asked.key) == code
    assert asked.introspect(asked.key) is (code == "")


@pytest.mark.parametrize("fact", ["", *FACTS])
def test_nothing_is_told_to_who_lacks_the_secret(
    asked: Asked, now: datetime, fact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by how long it takes: as many queries and comparisons as for an id that nobody has."""
    _make_true((fact,) if fact else (), asked.token, now)
    compared = list[int]()
    matches = keys.matches

    def count(*args: Any, **facts: Any) -> bool:
        compared.append(1)
        return matches(*args, **facts)

    monkeypatch.setattr(keys, "matches", count)
    # That the verifier asks is recorded once a minute, whatever it asks about.
    monkeypatch.setattr(verifier_keys, "_record_use", lambda *_key, **_facts: None)
    asked.introspect(keys.make(7))
    effort = []
    for key in (Key(asked.key.id, "0" * 64), keys.make(771_142_358)):
        for ask in (asked.verify, asked.api):
            compared.clear()
            with CaptureQueriesContext(connection) as queries:
                assert ask(key) == "unknown"
            effort.append((len(compared), len(queries)))
        compared.clear()
        with CaptureQueriesContext(connection) as queries:
            assert not asked.introspect(key)
        effort.append((len(compared), len(queries)))
    assert effort[:3] == effort[3:]
