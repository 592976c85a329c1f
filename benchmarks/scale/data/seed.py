"""Fills an empty PostgreSQL with a portal that has grown for years: one account that is very big,
one with as many active tokens as an account may have, and thousands of ordinary ones.

The database makes the rows itself (`INSERT … SELECT generate_series`): nothing crosses the wire, so
that it is faster than COPY. Indices are built when the rows are there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from django.db import connection

from accounts.email_addresses import SERVICE_ACCOUNTS
from accounts.models import Account, User
from accounts.random_ids import draw_id
from apitokens import keys
from apitokens.peppers import current_pepper
from benchmarks.scale.data import rest

FIRST_USER = 100_000_000
FIRST_TOKEN = 100_000_000
FIRST_VERIFIER = 100_001
BIG, FULL, BUSY = 1, 2, 3
"""Accounts: of many people, deleted tokens and events; of as many active tokens as one may have; of
10,000 active tokens and some that have expired."""
PEOPLE_OF_OTHERS = 6
"""Members of the accounts FULL and BUSY."""
ADMINISTRATOR, MEMBER, HASTY = 0, 20, 5
"""Places of users of the big account: an Administrator, a plain member, the one who does most."""
TOKEN_WITH_HISTORY, QUIET_TOKEN = 1, 49
ACTIVE_OF_BIG = 50
FEWEST_DELETED = 60_000
"""Deleted tokens of the big account in a tenth of the data: what reads them all is told from what
counts up to 10,000 several times."""
OPERATOR = "operator@example.com"


class Sizes(NamedTuple):
    """How many rows there are of each kind."""

    users: int = 100_000
    accounts: int = 20_000
    members_of_big: int = 5_000
    tokens: int = 1_000_000
    deleted_of_big: int = 200_000
    active_of_full: int = 100_000
    active_of_busy: int = 10_000
    expired_of_busy: int = 5_000
    due: int = 50_000
    events: int = 5_000_000
    events_of_big: int = 1_000_000
    events_of_hasty: int = 300_000
    events_of_token: int = 100_000
    sign_ins: int = 50_000
    events_about_users: int = 485_000
    notices: int = 300_000
    notices_of_one: int = 20_000
    mails: int = 250_000
    decisions: int = 500_000
    days_of_use: int = 1_000_000
    addresses: int = 50_000
    invitations: int = 20_000
    connections: int = 101
    sessions: int = 200_000
    sessions_of_one: int = 200
    token_families: int = 50_000
    services: int = 2_000
    services_of_portal: int = 20
    services_of_big: int = 40
    verifiers: int = 1_000
    service_accounts: int = 90
    assertions: int = 50_000

    def part(self, share: float) -> "Sizes":
        sizes = Sizes(*(max(1, round(number * share)) for number in self))
        deleted = max(sizes.deleted_of_big, min(FEWEST_DELETED, sizes.tokens * 6 // 10))
        return sizes._replace(deleted_of_big=deleted)


def fill(sizes: Sizes, *, at: datetime) -> None:
    """Fill the database, which must be migrated and empty."""
    facts = sizes._asdict() | {
        "at": at,
        "first_user": FIRST_USER,
        "first_token": FIRST_TOKEN,
        "active_of_big": ACTIVE_OF_BIG,
        "others": sizes.accounts - 3,
        "first_other": sizes.members_of_big + 2 * PEOPLE_OF_OTHERS,
        "people": PEOPLE_OF_OTHERS,
        "member": MEMBER,
        "hasty": HASTY,
        "service_accounts_at": SERVICE_ACCOUNTS,
        "digest": bytes(keys.DIGEST_BYTES),
        "pepper": current_pepper(),
    }
    with connection.cursor() as cursor:
        # Every row is as the models say; checking references row by row would take as long again.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for table, statements in groupby(STATEMENTS, key=itemgetter(0)):
            with _without_indices(table):
                for _table, statement in statements:
                    cursor.execute(statement, facts)
        for table in {table for table, _statement in STATEMENTS}.difference(NOT_COUNTED):
            cursor.execute(NEXT_ID.format(table=table))
        cursor.execute("SET session_replication_role = origin")
    large = Account.objects.filter(pk__in=(BIG, FULL, BUSY))
    large.update(raised_token_limit=sizes.active_of_full + 100)
    User.objects.create_superuser(OPERATOR, None, name="Olu Operator", pk=draw_id())
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def _without_indices(table: str) -> Iterator[None]:
    """Build the indices of the table after the block, but for those of constraints."""
    with connection.cursor() as cursor:
        cursor.execute(INDICES, [table])
        found = cursor.fetchall()
        for name, _definition in found:
            cursor.execute(f'DROP INDEX "{name}"')
        yield
        for _name, definition in found:
            cursor.execute(definition)


INDICES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = %s::regclass
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
NEXT_ID = """
    SELECT setval(sequence, (SELECT max(id) FROM {table}))
    FROM pg_get_serial_sequence('{table}', 'id') AS sequence WHERE sequence IS NOT NULL
"""
NOT_COUNTED = (
    *("notifications_mail", "accounts_user", "apitokens_apitoken"),
    *("apitokens_tokenusesum", "django_session", "accounts_tokenfamily"),
    *("apitokens_verifierkey", "accounts_serviceaccount"),
)
"""Tables whose ids are drawn, or another row's."""
USERS = """
    INSERT INTO accounts_user (id, email, name, password, is_superuser, is_staff, is_active,
        date_joined, language, time_zone)
    SELECT %(first_user)s + n, 'person' || n || '@example.com',
        (ARRAY['Maria', 'Jörg', 'Ольга', 'Li', 'Aysel', 'Thomas', 'Nora', 'Sam'])[n %% 8 + 1]
            || ' ' || (ARRAY['Okafor', 'Müller', 'Иванова', 'Wei', 'Quliyeva'])[n / 8 %% 5 + 1]
            || ' ' || n,
        '!', false, false, true, %(at)s - interval '800 days', 'en', 'Europe/Berlin'
    FROM generate_series(0, %(users)s - 1) AS n
"""
ADDRESSES_OF_USERS = """
    INSERT INTO account_emailaddress (email, verified, "primary", user_id)
    SELECT email, true, true, id FROM accounts_user
"""
ACCOUNTS = """
    INSERT INTO accounts_account (id, name, token_limit, created_at)
    SELECT n, 'Company ' || n, CASE WHEN n <= 3 THEN 10000 ELSE 200 END,
        %(at)s - interval '800 days'
    FROM generate_series(1, %(accounts)s) AS n
"""
MEMBERS = """
    INSERT INTO accounts_membership (id, account_id, user_id, role, created_at, sso_at)
    SELECT n + 1, account_id, %(first_user)s + n,
        CASE WHEN n < 10 OR place = 0 THEN 1 ELSE (ARRAY[2, 5, 3022, 3009])[n %% 4 + 1] END,
        %(at)s - interval '790 days',
        CASE WHEN account_id <= %(connections)s AND n >= 10 THEN
            %(at)s - n %% 100 * interval '1 day' END
    FROM (
        SELECT n,
            CASE WHEN n < %(members_of_big)s THEN 1
                WHEN n < %(members_of_big)s + %(people)s THEN 2
                WHEN n < %(first_other)s THEN 3
                ELSE 4 + (n - %(first_other)s) %% %(others)s END AS account_id,
            CASE WHEN n < %(members_of_big)s THEN n
                WHEN n < %(first_other)s THEN (n - %(members_of_big)s) %% %(people)s
                ELSE (n - %(first_other)s) / %(others)s END AS place
        FROM generate_series(0, %(users)s - 1) AS n
    ) AS planned
"""
CONNECTIONS = """
    INSERT INTO sso_connection (id, account_id, slug, name, entity_id, sso_url, slo_url,
        email_attribute, name_attribute, role_attribute, takes_new_people, default_role,
        may_make_administrators, is_on, is_forced, tested_at, signs_messages, idle_days,
        idle_action, idle_action_since, created_at)
    SELECT n, n, 'slug' || n, 'Directory', 'https://idp' || n || '.example.com',
        'https://idp' || n || '.example.com/sso', '', '', '', '',
        false, 2, false, true, false, %(at)s, false, 90,
        CASE WHEN n %% 2 = 0 THEN 'suspend' ELSE 'notify' END, %(at)s - interval '365 days', %(at)s
    FROM generate_series(1, %(connections)s) AS n
"""
TOKENS = """
    INSERT INTO apitokens_apitoken (id, account_id, issuer_id, name, description, role, created_at,
        expires_at, notice_due_at, last_used_at, deleted_at, digest, pepper)
    SELECT %(first_token)s + n, account_id, issuer, words || ' ' || n,
        CASE WHEN n %% 3 = 0 THEN 'Runs at night for ' || words ELSE '' END,
        CASE WHEN n %% 5 = 0 THEN 2 ELSE 3022 END, created_at,
        CASE WHEN is_due THEN %(at)s + interval '6 days'
            WHEN state = 'expired' THEN %(at)s - (n %% 20 + 1) * interval '1 hour'
            WHEN n %% 2 = 0 THEN %(at)s + (8 + n %% 600) * interval '1 day' END,
        CASE WHEN is_due THEN %(at)s - interval '1 minute'
            WHEN state = 'active' AND n %% 2 = 0 THEN
                %(at)s + (1 + n %% 600) * interval '1 day' END,
        CASE WHEN n %% 3 > 0 THEN %(at)s - n %% 100000 * interval '1 minute' END,
        CASE WHEN state = 'deleted' THEN created_at + interval '1 hour' END,
        %(digest)s, %(pepper)s
    FROM (
        SELECT *, state = 'active' AND place > 0
                AND row_number() OVER (PARTITION BY state = 'active' AND place > 0 ORDER BY n)
                    <= %(due)s AS is_due
        FROM (
            SELECT n, place,
                %(at)s - interval '1 day' - n::bigint * 7919 %% 60000000 * interval '1 second'
                    AS created_at,
                (ARRAY['Deploys', 'Cache clearing', 'Monitoring', 'Nightly backup',
                    'Berichte für Köln', 'Отчёты', 'Video storage', 'Invoices'])[n %% 8 + 1]
                    AS words,
                CASE WHEN place = 0 THEN kind
                    WHEN n %% 100 < 70 THEN 'deleted' WHEN n %% 100 < 85 THEN 'expired'
                    ELSE 'active' END AS state,
                CASE WHEN place = 0 THEN account ELSE 3 + place END AS account_id,
                CASE WHEN place = 0 THEN 1 + member ELSE %(first_other)s + place END AS issuer
            FROM (
                SELECT n,
                    CASE WHEN n <= big + active_of_full THEN 0 WHEN n <= special THEN 0
                        ELSE 1 + n %% %(others)s END AS place,
                    CASE WHEN n <= big THEN 1 WHEN n <= big + active_of_full THEN 2 ELSE 3 END
                        AS account,
                    CASE WHEN n <= %(active_of_big)s THEN 'active' WHEN n <= big THEN 'deleted'
                        WHEN n <= special - %(expired_of_busy)s THEN 'active' ELSE 'expired' END
                        AS kind,
                    CASE WHEN n <= 10 THEN %(member)s WHEN n <= big THEN n %% %(members_of_big)s
                        WHEN n <= big + active_of_full THEN %(members_of_big)s + n %% %(people)s
                        ELSE %(members_of_big)s + %(people)s + n %% %(people)s END AS member
                FROM generate_series(1, %(tokens)s) AS n, (
                    SELECT %(active_of_big)s + %(deleted_of_big)s AS big,
                        %(active_of_full)s AS active_of_full,
                        %(active_of_big)s + %(deleted_of_big)s + %(active_of_full)s
                            + %(active_of_busy)s + %(expired_of_busy)s AS special
                ) AS sums
            ) AS placed
        ) AS drawn
    ) AS planned
"""
EVENTS = """
    INSERT INTO accounts_auditevent (at, kind, account_id, user_id, through_token, through, address,
        subject_type, subject_id, details)
    SELECT
        -- mixed over two years, so that no account's events lie together
        %(at)s - (n::bigint * 7919 %% %(events)s * 12) * interval '1 second',
        (ARRAY['token.issued', 'token.refused', 'token.deleted', 'token.edited',
            'token.rotated', 'token.used_from_new_address', 'member.added',
            'profile.changed'])[n %% 8 + 1],
        CASE WHEN n <= %(events_of_big)s THEN 1 ELSE 4 + n %% %(others)s END,
        %(first_user)s + CASE WHEN n <= %(events_of_hasty)s THEN %(hasty)s
            WHEN n <= %(events_of_big)s THEN 100 + n %% (%(members_of_big)s - 100)
            ELSE %(first_other)s + n %% %(others)s END,
        CASE WHEN n %% 20 = 0 THEN %(first_token)s + n %% %(tokens)s END,
        CASE WHEN n %% 20 = 0 THEN 'api' ELSE 'portal' END, '192.0.2.7',
        CASE WHEN n <= %(events_of_big)s OR n > %(events_of_big)s + %(events_about_users)s
            THEN 'apitoken' ELSE 'user' END,
        CASE WHEN n > %(events_of_hasty)s AND n <= %(events_of_hasty)s + %(events_of_token)s
            THEN %(first_token)s + 1
            WHEN n <= %(events_of_big)s OR n > %(events_of_big)s + %(events_about_users)s
            THEN %(first_token)s + 100 + n %% (%(tokens)s - 100)
            ELSE %(first_user)s + %(first_other)s + n %% %(others)s END,
        '{"name": "Deploys"}'
    FROM generate_series(1, %(events)s - %(sign_ins)s) AS n
"""
SIGN_INS = """
    INSERT INTO accounts_auditevent (at, kind, account_id, user_id, through, address, subject_type,
        subject_id, details)
    SELECT %(at)s - n * interval '17 minutes',
        CASE WHEN n %% 10 = 0 THEN 'sign_in.refused' ELSE 'sign_in.succeeded' END, NULL, who,
        'portal', '192.0.2.7', 'user', who, '{"auth_type": "password", "user_agent": "Firefox"}'
    FROM (
        SELECT n, %(first_user)s + CASE WHEN n %% 2 = 0 THEN n %% %(members_of_big)s
            ELSE n::bigint * 7919 %% %(users)s END AS who
        FROM generate_series(1, %(sign_ins)s) AS n
    ) AS drawn
"""
NOTICES = """
    INSERT INTO notifications_notice (user_id, account_id, kind, title, text, link, created_at,
        read_at)
    SELECT user_id, account_id, 'token_expiring', n || ' API tokens expire within 7 days',
        'Deploys', '', %(at)s - n * interval '1 minute',
        CASE WHEN n %% 4 > 0 THEN %(at)s END
    FROM generate_series(1, %(notices)s) AS n
    JOIN accounts_membership AS member
        ON member.id = CASE WHEN n <= %(notices_of_one)s THEN 1 ELSE 1 + n %% %(users)s END
"""
MAILS = """
    INSERT INTO notifications_mail (id, user_id, account_id, kind, facts, created_at, state,
        next_try_at, give_up_at, tries, reason, owner, resend_in_doubt, was_in_doubt, sent_at)
    SELECT md5(n::text)::uuid, user_id, account_id, 'token_expiring',
        '{"title": "x", "text": "x", "link": "x"}', sent, CASE WHEN n %% 100 = 0 THEN 'failed'
            WHEN n %% 100 = 1 THEN 'held' ELSE 'sent' END, sent, sent, 1, '', '', false, false, sent
    FROM (SELECT n, %(at)s - n * interval '1 minute' AS sent
        FROM generate_series(1, %(mails)s) AS n) AS drawn
    JOIN accounts_membership AS member ON member.id = 1 + n %% %(users)s
"""
DECISIONS = """
    INSERT INTO apitokens_expirynotice (token_id, expires_at, days, user_id, channel, created_at)
    SELECT %(first_token)s + n, %(at)s - interval '30 days', 7, %(first_user)s + n %% %(users)s,
        'portal', %(at)s - interval '37 days'
    FROM generate_series(1, %(decisions)s) AS n
"""
DAYS_OF_USE = """
    INSERT INTO apitokens_tokenuseday (token_id, day, count)
    SELECT %(first_token)s + 1 + n / 50 * 7 %% %(tokens)s, %(at)s::date - n %% 50, n %% 1000
    FROM generate_series(0, %(days_of_use)s - 1) AS n ON CONFLICT DO NOTHING
"""
USES_OF_TOKENS = """
    INSERT INTO apitokens_tokenusesum (token_id, account_id, count)
    SELECT token.id, token.account_id, SUM(count)
    FROM apitokens_tokenuseday JOIN apitokens_apitoken AS token ON token.id = token_id
    GROUP BY token.id, token.account_id
"""
USES_OF_ACCOUNTS = """
    INSERT INTO apitokens_accountuseday (account_id, day, count, refused)
    SELECT account_id, day, SUM(count), SUM(refused)
    FROM apitokens_tokenuseday JOIN apitokens_apitoken AS token ON token.id = token_id
    GROUP BY account_id, day
"""
ADDRESSES = """
    INSERT INTO apitokens_tokenaddress (token_id, address, first_seen_at, last_seen_at)
    SELECT %(first_token)s + 1 + n / 100, ('10.0.' || n / 100 %% 250 || '.' || n %% 100)::inet,
        %(at)s - interval '60 days', %(at)s - n %% 80 * interval '1 day'
    FROM generate_series(0, %(addresses)s - 1) AS n
"""
INVITATIONS = """
    INSERT INTO accounts_invitation (account_id, email, name, user_id, language, role, created_at,
        sent_at, times_sent, expires_at, nonce)
    SELECT n, 'invited' || n || '@example.com', '', %(first_user)s + %(users)s - n, 'en', 2,
        %(at)s, %(at)s, 1,
        %(at)s + interval '1 day', md5(n::text)
    FROM generate_series(1, %(invitations)s) AS n
"""
STATEMENTS = [
    ("accounts_user", USERS),
    ("account_emailaddress", ADDRESSES_OF_USERS),
    ("accounts_account", ACCOUNTS),
    ("accounts_membership", MEMBERS),
    ("sso_connection", CONNECTIONS),
    ("apitokens_apitoken", TOKENS),
    ("accounts_auditevent", EVENTS),
    ("accounts_auditevent", SIGN_INS),
    ("notifications_notice", NOTICES),
    ("notifications_mail", MAILS),
    ("apitokens_expirynotice", DECISIONS),
    ("apitokens_tokenuseday", DAYS_OF_USE),
    ("apitokens_tokenusesum", USES_OF_TOKENS),
    ("apitokens_accountuseday", USES_OF_ACCOUNTS),
    ("apitokens_tokenaddress", ADDRESSES),
    ("accounts_invitation", INVITATIONS),
    *rest.STATEMENTS,
]
