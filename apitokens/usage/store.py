"""Stores that tokens were used: when last, from where, how often a day.

Uses come collected (`apitokens.usage.flusher`), from several processes at once. Each locks the rows
of its tokens in the order of their ids, so that no two processes can deadlock; last use only moves
forwards, and counts are added to what the database has.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, Q

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from accounts.http.client_ip import network_of, parse_address
from apitokens.lock_patience import atomic_within
from apitokens.models import APIToken, TokenAddress
from apitokens.usage import sums
from apitokens.usage.notifications import notify_new_addresses

TOKENS_AT_ONCE = 500
SOURCES_AT_ONCE = 5_000
"""So many are asked for in one query: SQLite takes 32,766 values, where nobody has allowed more."""
ADDRESSES_OF_A_TOKEN = 100
"""More are not kept: the one unseen for longest makes room. A token that has so many comes from
everywhere, and that it comes from somewhere else is no news any more."""
ADDRESSES_KEPT = timedelta(days=90)
DAYS_KEPT = 31
FLUSH_WAITS = 0.5
"""Seconds: scans and deletions go first. It stops waiting before PostgreSQL looks for deadlocks, so
that it is this transaction that tries again."""
NEW_ADDRESS = "token.used_from_new_address"


class Use(NamedTuple):
    """Uses of a token from one address, all on the same day in UTC. What was refused has no
    address, and is no use: it does not move the last one."""

    token_id: int
    address: str | None
    first_at: datetime
    last_at: datetime
    times: int
    refused: int = 0

    @property
    def day(self) -> date:
        return self.last_at.astimezone(UTC).date()


class UsageSource(NamedTuple):
    """A token and an address."""

    token_id: int
    address: str | None

    @property
    def place(self) -> "UsageSource":
        """The token and the network that one client has for itself: its addresses are one place,
        of which only the first is new."""
        return UsageSource(self.token_id, network_of(self.address))


def merged(uses: Iterable[Use]) -> list[Use]:
    """The same uses, one line for each token, address and day; what was refused apart."""
    lines: dict[tuple[int, str | None, date, bool], Use] = {}
    for use in uses:
        key = (use.token_id, use.address, use.day, use.refused > 0)
        lines[key] = _joined(lines[key], use) if key in lines else use
    return list(lines.values())


def in_parts(uses: Iterable[Use], *, tokens_at_once: int | None = None) -> Iterator[list[Use]]:
    """Split uses into parts of few tokens, so that others do not wait long for their rows."""
    by_token: dict[int, list[Use]] = defaultdict(list)
    for use in merged(uses):
        by_token[use.token_id].append(use)
    token_ids = iter(sorted(by_token))
    while some := list(islice(token_ids, tokens_at_once or TOKENS_AT_ONCE)):
        yield [use for token_id in some for use in by_token[token_id]]


def store_usage(
    uses: Collection[Use], *, is_reported: bool = True, waits: float = FLUSH_WAITS
) -> None:
    """Add these uses to what the database has.

    A use from a place that the token has never been used from leaves an audit event, and for
    Administrators' tokens a notice, unless `is_reported` is false. Raises Django's
    `OperationalError` if rows stay locked for longer than it `waits`.
    """
    with atomic_within(waits):
        _store(uses, is_reported=is_reported)


def _store(uses: Collection[Use], *, is_reported: bool) -> None:
    tokens = _locked(use.token_id for use in uses)
    uses = [_with_clean_address(use) for use in uses if use.token_id in tokens]
    counts = _add_to_days(uses)
    uses = [use for use in uses if use.times]
    _advance(uses)
    new = _store_addresses(uses)
    if is_reported and new:
        unused = _never_used_by_clients(tokens, new)
        for token_id, found in new.items():
            _report(tokens[token_id], found, is_first_use=token_id in unused)
    # Last: all processes add to the row of an account, and wait for each other.
    sums.add(counts, {token.pk: token.account_id for token in tokens.values()})


def unknown_sources(sources: Collection[UsageSource]) -> set[UsageSource]:
    """The sources whose place the database does not know."""
    known = _known(sources)
    return {source for source in sources if source.place not in known}


def forget(*, at: datetime) -> int:
    """Delete addresses unseen for 90 days and counts that no chart shows. Returns how many rows."""
    today = at.astimezone(UTC).date()
    unseen = TokenAddress.objects.filter(last_seen_at__lte=at - ADDRESSES_KEPT)
    return unseen.delete()[0] + sums.forget(until=today - timedelta(days=DAYS_KEPT), today=today)


def _joined(one: Use, other: Use) -> Use:
    return one._replace(
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
        times=one.times + other.times,
        refused=one.refused + other.refused,
    )


def _is_on_postgresql() -> bool:
    return connection.vendor == "postgresql"


def _locked(token_ids: Iterable[int]) -> dict[int, APIToken]:
    """The tokens, locked until the end of the transaction, in the order of their ids."""
    rows = APIToken.objects.filter(pk__in=set(token_ids)).order_by("pk")
    rows = rows.only(
        *("name", "role", "account_id", "issuer_id", "created_at"),
        *("last_used_at", "last_used_address"),
    )
    return {token.pk: token for token in rows.select_for_update(no_key=True)}


def _with_clean_address(use: Use) -> Use:
    """One spelling for each address; text that is none is not kept."""
    return use._replace(address=parse_address(use.address or ""))


def _never_used_by_clients(
    tokens: dict[int, APIToken], new: dict[int, list[TokenAddress]]
) -> set[int]:
    """Those whose use with an address is the first. Systems that were sent a token may have asked
    about it before, which is a use without one: then no other address may be known. Of a token
    that is older than addresses are kept nobody knows that any more."""
    unused, asked_about = set(), set()
    for token_id, found in new.items():
        token = tokens[token_id]
        if token.last_used_at is None:
            unused.add(token_id)
        elif (
            token.last_used_address is None
            and found[0].first_seen_at - token.created_at < ADDRESSES_KEPT
        ):
            asked_about.add(token_id)
    if asked_about:
        these = {(row.token_id, row.address) for found in new.values() for row in found}
        rows = TokenAddress.objects.filter(token_id__in=asked_about).order_by()
        known = set(rows.values_list("token_id", "address"))
        asked_about -= {token_id for token_id, _address in known - these}
    return unused | asked_about


def _add_to_days(uses: Iterable[Use]) -> list[sums.Counts]:
    """Increment the counts of the days, in one statement. Returns by how much."""
    used, refused = Counter[tuple[int, date]](), Counter[tuple[int, date]]()
    for use in uses:
        used[use.token_id, use.day] += use.times
        refused[use.token_id, use.day] += use.refused
    if not used:
        return []
    adapt = connection.ops.adapt_datefield_value
    counts = [
        (token_id, day, times, refused[token_id, day]) for (token_id, day), times in used.items()
    ]
    sums.upsert(
        "apitokens_tokenuseday (token_id, day, count, refused)",
        [(token_id, adapt(day), *times) for token_id, day, *times in counts],
        "(token_id, day) DO UPDATE SET count = known.count + excluded.count, "
        "refused = known.refused + excluded.refused",
    )
    return counts


def _advance(uses: Iterable[Use]) -> None:
    """Set the last use of those that were used after it. In one statement by hand: Django's own
    bulk update took three quarters of all the time that storing uses takes."""
    latest: dict[int, Use] = {}
    for use in uses:
        if use.token_id not in latest or latest[use.token_id].last_at < use.last_at:
            latest[use.token_id] = use
    if not latest:
        return
    adapt = connection.ops
    values = [
        (
            use.token_id,
            adapt.adapt_datetimefield_value(use.last_at),
            adapt.adapt_ipaddressfield_value(use.address),
        )
        for use in latest.values()
    ]
    at, address = _column(2, "timestamp with time zone"), _column(3, "inet")
    rows = ", ".join(["(%s, %s, %s)"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE apitokens_apitoken SET last_used_at = {at}, last_used_address = {address} "  # noqa: S608  # names of ours
            f"FROM (VALUES {rows}) AS used WHERE id = used.column1 "
            f"AND (last_used_at IS NULL OR last_used_at < {at})",
            list(chain.from_iterable(values)),
        )


def _column(number: int, kind: str) -> str:
    """A column of the values. PostgreSQL has to be told its type; SQLite must not be."""
    name = f"used.column{number}"
    return f"CAST({name} AS {kind})" if _is_on_postgresql() else name


def _store_addresses(uses: Iterable[Use]) -> dict[int, list[TokenAddress]]:
    """Store where the tokens were used from. Returns addresses at new places, by token."""
    seen = _sources(uses)
    known = _known(seen)
    new: dict[int, list[TokenAddress]] = defaultdict(list)
    for source, row in seen.items():
        if earlier := known.get(source.place):
            row.address = earlier.address
            row.first_seen_at = min(row.first_seen_at, earlier.first_seen_at)
            row.last_seen_at = max(row.last_seen_at, earlier.last_seen_at)
        else:
            new[source.token_id].append(row)
    kept_before = _numbers_of_addresses(new)
    TokenAddress.objects.bulk_create(
        seen.values(),
        update_conflicts=True,
        unique_fields=["token", "address"],
        update_fields=["first_seen_at", "last_seen_at"],
    )
    for token_id, rows in new.items():
        if kept_before[token_id] + len(rows) > ADDRESSES_OF_A_TOKEN:
            _make_room(token_id)
    return {
        token_id: sorted(rows, key=lambda row: row.first_seen_at)[: ADDRESSES_OF_A_TOKEN - before]
        for token_id, rows in new.items()
        if (before := kept_before[token_id]) < ADDRESSES_OF_A_TOKEN
    }


def _sources(uses: Iterable[Use]) -> dict[UsageSource, TokenAddress]:
    """A row for each token and place; of a token's many places, and of a place's many addresses,
    the latest."""
    by_token: dict[int, dict[str, TokenAddress]] = defaultdict(dict)
    for use in sorted(uses, key=lambda use: use.last_at, reverse=True):
        rows, place = by_token[use.token_id], network_of(use.address)
        if place in rows:
            rows[place].first_seen_at = min(rows[place].first_seen_at, use.first_at)
        elif use.address and len(rows) < ADDRESSES_OF_A_TOKEN:
            rows[place] = TokenAddress(
                token_id=use.token_id,
                address=use.address,
                first_seen_at=use.first_at,
                last_seen_at=use.last_at,
            )
    return {
        UsageSource(token_id, row.address): row
        for token_id, rows in by_token.items()
        for row in rows.values()
    }


def _known(sources: Collection[UsageSource]) -> dict[UsageSource, TokenAddress]:
    """By place, what the database knows of these sources. An IPv6 place has addresses beyond
    number: of tokens that come by IPv6 all rows are read, which are few
    (`ADDRESSES_OF_A_TOKEN`)."""
    remaining = iter(sources)
    known: dict[UsageSource, TokenAddress] = {}
    while some := list(islice(remaining, SOURCES_AT_ONCE)):
        by_ipv6 = {source.token_id for source in some if source.address and ":" in source.address}
        rows = TokenAddress.objects.filter(
            Q(address__in={source.address for source in some}) | Q(token_id__in=by_ipv6),
            token_id__in={source.token_id for source in some},
        )
        known |= {UsageSource(row.token_id, row.address).place: row for row in rows}
    return known


def _numbers_of_addresses(token_ids: Collection[int]) -> Counter[int]:
    if not token_ids:
        return Counter()
    rows = TokenAddress.objects.filter(token_id__in=token_ids).order_by().values_list("token_id")
    return Counter(dict(rows.annotate(number=Count("pk"))))


def _make_room(token_id: int) -> None:
    rows = TokenAddress.objects.filter(token_id=token_id).order_by("-last_seen_at", "-pk")
    surplus = list(rows.values_list("pk", flat=True)[ADDRESSES_OF_A_TOKEN:])
    TokenAddress.objects.filter(pk__in=surplus).delete()


def _report(token: APIToken, found: list[TokenAddress], *, is_first_use: bool) -> None:
    for row in found:
        audit.record(
            NEW_ADDRESS,
            by=Actor(through=EntryPoint.API, token_id=token.pk, address=row.address),
            at=row.first_seen_at,
            account_id=token.account_id,
            subject=token,
            name=token.name,
            is_first_use=is_first_use and row is found[0],
        )
    notify_new_addresses(
        token,
        [str(row.address) for row in found],
        is_first_use=is_first_use,
        at=found[0].first_seen_at,
    )
