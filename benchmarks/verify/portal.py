"""`python -m benchmarks.verify.portal plant|more TOKENS`: fill the portal's tables.

`plant` gives one user 50 tokens and others the rest, all of them real, and prints their texts in a
line of JSON: they are worth nothing once the database is gone. `more` adds rows until there are so
many tokens; nobody has these.
"""

import json
import sys
from datetime import datetime, timedelta
from typing import Any

import django

from apitokens import keys

ON_THE_USER = 50
AT_ONCE = 5_000
HERE = "127.0.0.1"

FILLER = """
    INSERT INTO apitokens_apitoken
        (id, account_id, issuer_id, name, description, role, created_at, digest, pepper,
         last_used_at)
    SELECT (SELECT greatest(max(id), 5000000000) FROM apitokens_apitoken) + number, account_id,
        issuer_id, 'Filler', '', role, created_at, digest, pepper, last_used_at
    FROM generate_series(1, %s) AS number, (SELECT * FROM apitokens_apitoken LIMIT 1) AS one
"""


def main(step: str, tokens: int) -> None:
    django.setup()
    from django.db import connection

    planted = plant(tokens) if step == "plant" else more(tokens)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    sys.stdout.write(f"{json.dumps(planted)}\n")


def plant(tokens: int) -> dict[str, Any]:
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import Membership
    from accounts.roles import Role

    call_command("migrate", verbosity=0, interactive=False)
    at = timezone.now()
    members = _make_members(tokens // ON_THE_USER)
    Membership.objects.bulk_create(members, batch_size=AT_ONCE)
    shares = _shares(members, tokens)
    texts: list[str] = []
    for first in range(0, tokens, AT_ONCE):
        texts += _write(shares[first : first + AT_ONCE], at, Role.USERS)
    return {
        "verifier": _make_verifier(at),
        "good": texts[0],
        "limited": _limit(texts[1]),
        **_rotate(texts[2], at),
        "unseen": texts[ON_THE_USER:],
        **_bad(texts[0]),
    }


def _limit(token: str) -> str:
    """Limit a token of the first user to scopes and addresses, as many as there may be."""
    from apitokens.addresses.rules import MOST
    from apitokens.models import APIToken

    elsewhere = [f"203.0.{number}.0/24" for number in range(MOST - 1)]
    APIToken.objects.filter(pk=keys.parse(token).id).update(
        scopes="audit:read tokens:read users:read", allowed_addresses="\n".join([HERE, *elsewhere])
    )
    return token


def _rotate(token: str, at: datetime) -> dict[str, str]:
    """Rotate a token of the first user; both secrets work for a week."""
    from accounts.authorization.actor import Actor, EntryPoint
    from apitokens.models import APIToken
    from apitokens.tokens import rotation

    rotated = rotation.rotate(
        token=APIToken.objects.get(pk=keys.parse(token).id),
        grace=rotation.Grace.WEEK,
        by=Actor.operator(through=EntryPoint.COMMAND),
        at=at,
    )
    return {"rotated": rotated.key.spell(), "old": token}


def more(tokens: int) -> dict[str, Any]:
    from django.db import connection

    from apitokens.models import APIToken

    with connection.cursor() as cursor:
        cursor.execute(FILLER, [tokens - APIToken.objects.count()])
    return {"tokens": APIToken.objects.count()}


def _make_verifier(at: datetime) -> str:
    """The key of a resource server that asks about tokens."""
    from accounts.authorization.actor import Actor, EntryPoint
    from apitokens.verification.verifier_keys import issue_verifier

    operator = Actor.operator(through=EntryPoint.COMMAND)
    return issue_verifier(name="Shop", by=operator, at=at).key.spell("_")


def _make_members(number: int) -> list[Any]:
    from accounts.models import Account, Membership, User
    from accounts.roles import Role

    accounts = [Account(name=f"Company {n}") for n in range(number)]
    users = [User(email=f"person{n}@example.com", name=f"Person {n}") for n in range(number)]
    Account.objects.bulk_create(accounts, batch_size=AT_ONCE)
    User.objects.bulk_create(users, batch_size=AT_ONCE)
    return [
        Membership(account=account, user=user, role=Role.ADMINISTRATORS)
        for account, user in zip(accounts, users, strict=True)
    ]


def _shares(members: list[Any], tokens: int) -> list[tuple[int, Any]]:
    """A token id and its issuer, for each token; the first 50 are the first one's."""
    return [(100_000_000 + n, members[n // ON_THE_USER]) for n in range(tokens)]


def _write(part: list[tuple[int, Any]], at: datetime, role: int) -> list[str]:
    """Write these tokens as the service would, but by thousands. They have been used before, from
    the address that they are used from now."""
    from django.conf import settings

    from apitokens.models import APIToken, TokenAddress
    from apitokens.peppers import current_pepper

    pepper = current_pepper()
    made = [(keys.make(token_id), member) for token_id, member in part]
    APIToken.objects.bulk_create(
        APIToken(
            pk=key.id,
            account_id=member.account_id,
            issuer=member,
            name="Deploys",
            role=role,
            created_at=at - timedelta(days=30),
            digest=keys.digest(key, settings.TOKEN_PEPPERS[pepper]),
            pepper=pepper,
            last_used_at=at,
            last_used_address=HERE,
        )
        for key, member in made
    )
    TokenAddress.objects.bulk_create(
        TokenAddress(token_id=key.id, address=HERE, first_seen_at=at, last_seen_at=at)
        for key, _member in made
    )
    return [key.spell() for key, _member in made]


def _bad(good: str) -> dict[str, str]:
    """Tokens as mistaken and dishonest clients send them."""
    token_id = keys.parse(good).id
    last = "0" if good[-1] != "0" else "1"
    return {
        "wrong": keys.make(token_id).spell(),
        "unknown": keys.make(99_999_999).spell(),
        "malformed": good[:-1] + last,
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
