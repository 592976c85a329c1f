"""A large portal: many tokens, some of which fall due, and the people who must be told."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.db import connection

from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens import keys
from apitokens.models import APIToken
from apitokens.services import newest_pepper

PEOPLE_EACH = 2
"""An Administrator and an Engineer; the first hears of the tokens of both."""
AT_ONCE = 5_000


def plant(*, tokens: int, due: int, people: int, at: datetime) -> None:
    """Fill an empty database: `due` of the tokens are due at `at`, half of them for each notice."""
    members = _members(people)
    facts = _tokens(members, tokens, due, at)
    while some := list(islice(facts, AT_ONCE)):
        APIToken.objects.bulk_create(some)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _members(people: int) -> list[Membership]:
    accounts = [Account(name=f"Company {n}") for n in range(people // PEOPLE_EACH)]
    users = [
        User(email=f"person{n}@example.com", name=f"Person {n}", time_zone="Europe/Berlin")
        for n in range(people)
    ]
    Account.objects.bulk_create(accounts, batch_size=AT_ONCE)
    User.objects.bulk_create(users, batch_size=AT_ONCE)
    members = [
        Membership(
            account=accounts[number // PEOPLE_EACH],
            user=user,
            role=Role.ENGINEERS if number % PEOPLE_EACH else Role.ADMINISTRATORS,
        )
        for number, user in enumerate(users)
    ]
    return Membership.objects.bulk_create(members, batch_size=AT_ONCE)


def _tokens(members: list[Membership], number: int, due: int, at: datetime) -> Iterator[APIToken]:
    ids = random.sample(range(100_000_000, 1_000_000_000), number)
    pepper, digest = newest_pepper(), bytes(keys.DIGEST_BYTES)
    for place, pk in enumerate(ids):
        member = members[place % len(members)]
        is_due = place < due
        days = random.choice([1, 7])
        end = at + timedelta(days=days if is_due else random.uniform(8, 700))
        yield APIToken(
            pk=pk,
            account_id=member.account_id,
            issuer_id=member.pk,
            name=f"Deploys of service {place}",
            role=Role.ENGINEERS,
            created_at=at - timedelta(days=100),
            expires_at=end,
            notice_due_at=end - timedelta(days=days if is_due else 7),
            last_used_at=at - timedelta(minutes=place % 10_000) if place % 3 else None,
            digest=digest,
            pepper=pepper,
        )
