from collections.abc import Iterable
from itertools import chain
from typing import Any

from django.db import connections, migrations
from django.db.models import QuerySet

from upgrades.operations import ChangeRowsInBatches

TOKENS = """
    INSERT INTO apitokens_tokenusesum (token_id, account_id, count)
    SELECT token.id, token.account_id, SUM(used.count)
    FROM apitokens_tokenuseday AS used JOIN apitokens_apitoken AS token ON token.id = used.token_id
    WHERE token.id IN ({}) GROUP BY token.id, token.account_id HAVING SUM(used.count) > 0
    ON CONFLICT (token_id) DO UPDATE SET count = excluded.count
"""
DAYS = """
    INSERT INTO apitokens_accountuseday (account_id, day, count, refused)
    SELECT DISTINCT token.account_id, used.day, 0, 0
    FROM apitokens_tokenuseday AS used JOIN apitokens_apitoken AS token ON token.id = used.token_id
    WHERE token.id IN ({}) ON CONFLICT (account_id, day) DO NOTHING
"""
ACCOUNTS = """
    UPDATE apitokens_accountuseday SET count = found.count, refused = found.refused
    FROM (
        SELECT token.account_id, used.day, SUM(used.count) AS count, SUM(used.refused) AS refused
        FROM apitokens_tokenuseday AS used
        JOIN apitokens_apitoken AS token ON token.id = used.token_id
        WHERE token.account_id IN ({}) GROUP BY token.account_id, used.day
    ) AS found
    WHERE apitokens_accountuseday.account_id = found.account_id
        AND apitokens_accountuseday.day = found.day AND apitokens_accountuseday.id IN ({})
"""


def of_tokens(tokens: QuerySet[Any]) -> None:
    ids = list(tokens.values_list("pk", flat=True))
    for statement in (TOKENS, DAYS):
        _execute(tokens, statement, ids)


def of_accounts(days: QuerySet[Any]) -> None:
    rows = list(days.values_list("pk", "account"))
    _execute(days, ACCOUNTS, {account for _pk, account in rows}, [pk for pk, _account in rows])


def _execute(rows: QuerySet[Any], statement: str, *lists: Iterable[int]) -> None:
    values = [list(each) for each in lists]
    if all(values):
        places = (", ".join(["%s"] * len(each)) for each in values)
        with connections[rows.db].cursor() as cursor:
            cursor.execute(statement.format(*places), list(chain.from_iterable(values)))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("apitokens", "0018_sums_of_uses")]

    operations = [
        ChangeRowsInBatches("apitoken", of_tokens),
        ChangeRowsInBatches("accountuseday", of_accounts),
    ]
