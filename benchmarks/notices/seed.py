"""Fills a database with many tokens, some of which are due, and the people who must be told."""

from datetime import datetime

from django.db import connection

from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens import keys
from apitokens.peppers import current_pepper

PEOPLE_EACH = 2
"""An Administrator and an Engineer; the first hears of the tokens of both."""
AT_ONCE = 5_000


def fill(*, tokens: int, due: int, people: int, at: datetime) -> None:
    """Fill an empty database: `due` of the tokens are due at `at`, half of them for each notice."""
    _make_members(people)
    _make_tokens(tokens=tokens, due=due, people=people, at=at)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _make_members(people: int) -> None:
    accounts = [Account(name=f"Company {n}") for n in range(people // PEOPLE_EACH)]
    users = [
        User(
            pk=100_000_000 + n,  # drawn ones would collide now and then: a birthday among so many
            email=f"person{n}@example.com",
            name=f"Person {n}",
            time_zone="Europe/Berlin",
        )
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
    Membership.objects.bulk_create(members, batch_size=AT_ONCE)


TOKENS = """
    INSERT INTO apitokens_apitoken
        (id, account_id, issuer_id, name, description, role, created_at, expires_at,
         notice_due_at, last_used_at, digest, pepper)
    SELECT 100000000 + number, account_id, issuer_id, 'Deploys of service ' || number, '', %(role)s,
        %(at)s - interval '100 days', at_end, at_end - days * interval '1 day',
        CASE WHEN number %% 3 > 0 THEN %(at)s - number %% 10000 * interval '1 minute' END,
        %(digest)s, %(pepper)s
    FROM (
        SELECT number, account_id, issuer_id, days,
            %(at)s + CASE WHEN is_due THEN days ELSE 8 + random() * 690 END * interval '1 day'
                AS at_end
        FROM (
            SELECT number, number %% %(every)s = 0 AS is_due,
                CASE WHEN number %% %(every)s > 0 OR random() < 0.5 THEN 7 ELSE 1 END AS days
            FROM generate_series(1, %(tokens)s) AS number
        ) AS drawn
        JOIN (
            SELECT id AS issuer_id, account_id, row_number() OVER (ORDER BY id) - 1 AS place
            FROM accounts_membership
        ) AS member ON place = number / %(every)s %% %(people)s
    ) AS planned
"""
"""A million rows are the database's work: by the ORM they took ten minutes."""


def _make_tokens(*, tokens: int, due: int, people: int, at: datetime) -> None:
    """The due ones are spread over the table, and over the people."""
    with connection.cursor() as cursor:
        cursor.execute(
            TOKENS,
            {
                "tokens": tokens,
                "every": tokens // due,
                "people": people,
                "at": at,
                "role": Role.ENGINEERS,
                "digest": bytes(keys.DIGEST_BYTES),
                "pepper": current_pepper(),
            },
        )
