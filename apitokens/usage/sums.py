"""Sums of uses, for what the page "Usage" shows of a whole account: of each day, and of each token.

They are kept with the counts of the days, in the same transaction. Adding up a month of all tokens
each time the page is opened would read millions of rows.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import chain
from typing import Any

from django.db import connection, transaction

from apitokens.models import AccountUseDay, APIToken, TokenUseDay, TokenUseSum

TOKENS_AT_ONCE = 1_000
DAYS_RECOUNTED = 2

Counts = tuple[int, date, int, int]
"""A token, a day, its uses, and how many more were refused."""


def add(counts: Iterable[Counts], accounts: Mapping[int, int]) -> None:
    """Add these to the sums; `accounts` are those of the tokens. Rows are locked in the order of
    their keys, so that no two processes can deadlock."""
    used, refused, of_tokens = Counter[Any](), Counter[Any](), Counter[int]()
    for token_id, day, times, times_refused in counts:
        used[accounts[token_id], day] += times
        refused[accounts[token_id], day] += times_refused
        of_tokens[token_id] += times
    adapt = connection.ops.adapt_datefield_value
    upsert(
        "apitokens_tokenusesum (token_id, account_id, count)",
        [(each, accounts[each], times) for each, times in sorted(of_tokens.items()) if times],
        "(token_id) DO UPDATE SET count = known.count + excluded.count",
    )
    upsert(
        "apitokens_accountuseday (account_id, day, count, refused)",
        [(key[0], adapt(key[1]), used[key], refused[key]) for key in sorted(used)],
        "(account_id, day) DO UPDATE SET count = known.count + excluded.count, "
        "refused = known.refused + excluded.refused",
    )


def forget(*, until: date, today: date) -> int:
    """Delete the counts up to this day, and what they have added to the sums. Returns how many
    counts of tokens. Sums of the last days are counted again: processes of the release before
    do not keep them."""
    deleted, old = 0, TokenUseDay.objects.filter(day__lte=until)
    tokens = old.order_by("token").values_list("token", flat=True).distinct()
    after = 0  # by key: from the beginning each part would walk what those before it have deleted
    while some := list(tokens.filter(token__gt=after)[:TOKENS_AT_ONCE]):
        deleted += _forget(old, some)
        after = some[-1]
    AccountUseDay.objects.filter(day__lte=until).delete()
    recount_accounts(since=today - timedelta(days=DAYS_RECOUNTED), until=today)
    return deleted


@transaction.atomic
def recount_accounts(*, since: date, until: date) -> None:
    """Raise the sums of accounts to what their tokens have counted from one day on, and before the
    other. Counts only grow: a sum that is higher was added to meanwhile."""
    adapt = connection.ops.adapt_datefield_value
    with connection.cursor() as cursor:
        cursor.execute(RECOUNT_ACCOUNTS, [adapt(since), adapt(until)])


@transaction.atomic
def _forget(old: Any, token_ids: Sequence[int]) -> int:
    """With the tokens locked, as those have them who count. The ids are sorted: counts are looked
    for in a range of the index. For a thousand named tokens PostgreSQL reads the counts of all."""
    first, last = token_ids[0], token_ids[-1]
    rows = APIToken.objects.filter(pk__in=token_ids).order_by("pk").select_for_update(no_key=True)
    list(rows.values_list("pk"))
    counts = old.filter(token__gte=first, token__lte=last, token__in=token_ids)
    deleted: int = counts.delete()[0]
    TokenUseSum.objects.filter(token__in=token_ids).delete()
    places = ", ".join(["%s"] * len(token_ids))
    with connection.cursor() as cursor:
        cursor.execute(RECOUNT_TOKENS.format(places), [first, last, *token_ids])
    return deleted


def upsert(columns: str, rows: Collection[tuple[Any, ...]], otherwise: str) -> None:
    """Insert these rows of a table, `known` as it is named in `otherwise`: what to do about those
    that are there."""
    if not rows:
        return
    table, rest = columns.split(" ", 1)
    width = len(next(iter(rows)))
    values = ", ".join([f"({', '.join(['%s'] * width)})"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} AS known {rest} VALUES {values} ON CONFLICT {otherwise}",  # noqa: S608  # names of ours
            list(chain.from_iterable(rows)),
        )


RECOUNT_TOKENS = """
    INSERT INTO apitokens_tokenusesum (token_id, account_id, count)
    SELECT token.id, token.account_id, SUM(used.count)
    FROM apitokens_tokenuseday AS used JOIN apitokens_apitoken AS token ON token.id = used.token_id
    WHERE used.token_id BETWEEN %s AND %s AND token.id IN ({})
    GROUP BY token.id, token.account_id HAVING SUM(used.count) > 0
"""
RECOUNT_ACCOUNTS = """
    INSERT INTO apitokens_accountuseday AS known (account_id, day, count, refused)
    SELECT token.account_id, used.day, SUM(used.count), SUM(used.refused)
    FROM apitokens_tokenuseday AS used JOIN apitokens_apitoken AS token ON token.id = used.token_id
    WHERE used.day >= %s AND used.day < %s
    GROUP BY token.account_id, used.day ORDER BY token.account_id, used.day
    ON CONFLICT (account_id, day) DO UPDATE SET
        count = CASE WHEN excluded.count > known.count THEN excluded.count ELSE known.count END,
        refused = CASE WHEN excluded.refused > known.refused THEN excluded.refused
            ELSE known.refused END
"""
