"""Verification, introspection and the API agree about every reason to refuse a token, and about
all of them together; and tell none of them to who lacks its secret. So does the fast path, whether
it looks the token up or remembers it."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from io import BytesIO
from itertools import chain, combinations
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens import keys
from apitokens.api.introspect import FORM
from apitokens.cache.token_caches import TOKENS, VERIFIERS
from apitokens.keys import Key
from apitokens.models import APIToken, OldSecret
from apitokens.peppers import current_pepper
from apitokens.scopes.services import ScopeFacts, register
from apitokens.verification import throttling, verifier_keys
from apitokens.verification.verifier_keys import issue_verifier
from config.fast_path.ask_database import ask_database
from config.fast_path.shortcut import shortcut
from tests.config.fast_path.test_verify import Said, nobody, say

pytestmark = pytest.mark.usefixtures("memory")

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
NEEDED, OTHER = "tokens:read", "users:read"

Facts = tuple[str, ...]

OF_ISSUER: dict[str, Callable[[Membership, datetime], Any]] = {
    "deactivated": lambda issuer, _at: User.everyone.filter(pk=issuer.user_id).update(
        is_active=False
    ),
    "removed": lambda issuer, at: _memberships(issuer).update(removed_at=at),
    "closed": lambda issuer, at: Account.objects.filter(pk=issuer.account_id).update(closed_at=at),
    "suspended": lambda issuer, at: _memberships(issuer).update(sso_at=at, tokens_suspended_at=at),
}
OF_TOKENS: dict[str, Callable[[Any, datetime], Any]] = {
    "rotated": lambda tokens, at: _end_secrets(tokens, at),
    "deleted": lambda tokens, at: tokens.update(deleted_at=at),
    "expired": lambda tokens, at: tokens.update(
        created_at=at - timedelta(days=2), expires_at=at - timedelta(days=1)
    ),
    "elsewhere": lambda tokens, _at: tokens.update(allowed_addresses="192.0.2.1"),
    "limited": lambda tokens, _at: tokens.update(scopes=OTHER),
}
"""What may be true of tokens or of their issuer: each is a reason to refuse them. A new reason gets
a line here and its place in `CODES`."""
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
DJANGO = Client()
LOOKED_UP, REMEMBERED = ask_database(nobody), shortcut(nobody)
"""The fast path, without Django behind it."""


def _end_secrets(tokens: Any, at: datetime) -> None:
    """Leave what rotating leaves of secrets that end at once. The service would tell people, too,
    which takes longer than all questions about the token."""
    former = [
        OldSecret(token=each, digest=each.digest, pepper=each.pepper, ends_at=at) for each in tokens
    ]
    OldSecret.objects.bulk_create(former)
    tokens.update(digest=_digest(keys.make(1)), rotations=1, rotated_at=at)


def _memberships(issuer: Membership) -> Any:
    return Membership.everyone.filter(pk=issuer.pk)


def _subsets(facts: Iterable[str]) -> list[Facts]:
    each = list(facts)
    numbers = range(len(each) + 1)
    return [*chain.from_iterable(combinations(each, number) for number in numbers)]


class Asked:
    """Tokens of one issuer, one for each combination of what may be true of tokens, and the three
    who are asked about them."""

    def __init__(self, issuer: Membership, at: datetime) -> None:
        self.issuer, self.at = issuer, at
        self.keys = _issue_many(issuer, _subsets(OF_TOKENS), at)
        scope = ScopeFacts("read", "Read")
        service = register(
            account=issuer.account, code="cdn", name="CDN", scopes=[scope], by=OPERATOR, at=at
        )
        caller = issue_verifier(name="CDN", service=service, by=OPERATOR, at=at).key.spell("_")
        self.caller = {"Authorization": f"Bearer {caller}"}

    def make_true(self, of_issuer: Facts) -> None:
        for fact, change in OF_TOKENS.items():
            ids = [key.id for facts, key in self.keys.items() if fact in facts]
            change(APIToken.objects.filter(pk__in=ids), self.at)
        for fact in of_issuer:
            OF_ISSUER[fact](self.issuer, self.at)

    def verify(self, key: Key) -> str:
        return _code_in(_ask_everybody(f"/iam/auth/verify?scope={NEEDED}", _shown(key)))

    def api(self, key: Key) -> str:
        address = f"/iam/clients/{self.issuer.account_id}/tokens/{key.id}"
        return _code_in(_ask_django(address, _shown(key)))

    def introspect(self, key: Key) -> bool:
        """Of who is bound to another service than the token is limited to."""
        form = {"token": key.spell(), "client_address": "127.0.0.1"}
        answer = _ask_everybody("/iam/auth/introspect", self.caller, urlencode(form))
        return bool(answer.json()["active"])


def _issue_many(issuer: Membership, each: list[Facts], at: datetime) -> dict[Facts, Key]:
    """So many tokens by one statement: the service writes them one by one."""
    made = {facts: keys.make(100_000_000 + number) for number, facts in enumerate(each)}
    APIToken.objects.bulk_create(
        APIToken(
            pk=key.id,
            account=issuer.account,
            issuer=issuer,
            name="+".join(facts),
            role=Role.USERS,
            created_at=at - timedelta(days=1),
            digest=_digest(key),
            pepper=current_pepper(),
        )
        for facts, key in made.items()
    )
    return made


def _digest(key: Key) -> bytes:
    return keys.digest(key, settings.TOKEN_PEPPERS[current_pepper()])


def _shown(key: Key) -> dict[str, str]:
    return {"Authorization": f"APIKey {key.spell()}"}


def _code_in(answer: Any) -> str:
    return "" if answer.status_code == 200 else str(answer.json()["code"])


def _ask_django(address: str, headers: dict[str, str], form: str = "") -> Any:
    """The answer of a process that has just started."""
    _forget()
    method, kind = ("POST", FORM) if form else ("GET", "")
    return DJANGO.generic(method, address, form, kind, headers=headers)


def _ask_everybody(address: str, headers: dict[str, str], form: str = "") -> Any:
    """The answer of Django, to which the fast path has none to add: neither when it looks the token
    up, nor when it remembers it."""
    answer = _ask_django(address, headers, form)
    by_django = Said(
        f"{answer.status_code} {answer.reason_phrase}", sorted(answer.items()), answer.content
    )
    _forget()
    for serve in (LOOKED_UP, REMEMBERED):
        sent = {**answer.wsgi_request.META, "wsgi.input": BytesIO(form.encode())}
        assert say(serve, sent) == by_django
    return answer


def _forget() -> None:
    TOKENS.clear()
    VERIFIERS.clear()
    throttling.forget()


@pytest.fixture
def asked(engineer: Membership, now: datetime) -> Asked:
    return Asked(engineer, now)


@pytest.mark.parametrize("of_issuer", _subsets(OF_ISSUER), ids="+".join)
def test_all_agree(asked: Asked, of_issuer: Facts) -> None:
    asked.make_true(of_issuer)
    wanted, got = {}, {}
    for facts, key in asked.keys.items():
        code = next((CODES[fact] for fact in CODES if fact in facts + of_issuer), "")
        wanted[facts] = code, code, not code
        got[facts] = asked.verify(key), asked.api(key), asked.introspect(key)
    assert got == wanted


@pytest.mark.parametrize("fact", ["", *OF_TOKENS, *OF_ISSUER])
def test_nothing_is_told_to_who_lacks_the_secret(
    asked: Asked, fact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by how long it takes: as many queries and comparisons as for an id that nobody has."""
    asked.make_true((fact,) if fact in OF_ISSUER else ())
    token = asked.keys[(fact,) if fact in OF_TOKENS else ()]
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
    for key in (Key(token.id, "0" * 64), keys.make(771_142_358)):
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
