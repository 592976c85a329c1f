"""Measures calls, exports, tasks and commands on a database that is filled: queries, milliseconds
of the database, rows read, milliseconds in all, and memory."""

import io
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership, User
from accounts.roles import Role
from apitokens.expiry import scan as expiry
from apitokens.keys import Separator
from apitokens.tokens import services as token_services
from benchmarks.scale import pages, seed
from benchmarks.scale.plans import Slowest
from config.server.responses import send_whole
from sso.inactivity import services as inactivity

QUICK, RUNS = 0.5, 3
"""What is done within so many seconds is measured so many times; the median counts."""
READ = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0),
        (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes),
        (SELECT coalesce(jsonb_object_agg(indexrelname, idx_scan), '{}') FROM pg_stat_user_indexes)
    FROM pg_stat_user_tables
"""
EXPORT_LINES = 20_000
"""Lines a second that every export has to reach."""
FIRST_BYTE = 100
SCANNED = 3_000
"""Tokens a second that the scan of expirations has to reach."""
MOST_MEMORY = 60
"""Megabytes above idle."""
SEPARATOR: Separator = "_"


@dataclass
class Figures:
    """What one thing has cost. `bound` is of `database_ms`; `failures` say what is above one.

    What is counted by an index alone reads no row: it is in `entries_read`, those of indices.
    """

    who: str
    name: str
    bound: int | None = None
    queries: int = 0
    database_ms: float = 0
    rows_read: int = 0
    entries_read: int = 0
    indices: list[str] = field(default_factory=list)
    wall_ms: float = 0
    memory_mb: float = 0
    note: str = ""
    failures: list[str] = field(default_factory=list)


class _Recorder:
    """Counts and times the statements of one run."""

    def __init__(self) -> None:
        self.queries, self.seconds = 0, 0.0

    def __call__(self, execute: Callable[..., Any], *call: Any) -> Any:
        self.queries += 1
        began = time.perf_counter()
        try:
            return execute(*call)
        finally:
            self.seconds += time.perf_counter() - began


def everything(*, exports: bool = True) -> Iterator[Figures]:
    """All figures, one after the other."""
    people = _People()
    for call in pages.calls(last_page_of_events=99_999):
        yield _call(people, call)
    if exports:
        yield from _exports(people)
        yield from _commands()
        yield from _tasks()


MENDED = {
    *("audit log", "audit log, page 300", "audit log, quiet token", "audit log, rare kind"),
    *("audit log, busy person", "token with 100,000 events", "tokens", "tokens, search"),
    *("tokens, search of one letter", "tokens, all, last page", "users", "users, search"),
    *("API: tokens", "API: users", "API: account", "API: logins"),
    *("apitokens_apitoken", "apitokens_apitoken, search", "accounts_auditevent, search"),
    *("events, rare kind", "events through a token", "notifications_mail", "people who match"),
}
"""Calls whose plans are written down."""


def mended() -> Iterator[tuple[str, Callable[[Slowest], object]]]:
    """Each of these calls, to be run while its statements are listened to."""
    people = _People()
    for call in pages.calls(last_page_of_events=99_999):
        if call.name in MENDED and call.who != pages.PLAIN:
            yield f"{call.who}: {call.name}", partial(_listened, people.client(call), call.path)


def _listened(client: Client, path: str, slowest: Slowest) -> None:
    def hear(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, *rest)
        finally:
            slowest.hear(time.perf_counter() - began, sql, params)

    client.get(path)  # plans and templates are known
    before = _read()
    with connection.execute_wrapper(hear):
        client.get(path)
    slowest.indices = sorted(_read().since(before).scans)


class _People:
    """Who opens the pages: a browser that has signed in, or a token, for each of them."""

    def __init__(self) -> None:
        self.members = {
            pages.ADMINISTRATOR: self._of_big(seed.ADMINISTRATOR),
            pages.PLAIN: self._of_big(seed.MEMBER),
            pages.OF_FULL: self._administrator(seed.FULL),
            pages.OF_BUSY: self._administrator(seed.BUSY),
        }
        users = {who: member.user for who, member in self.members.items()}
        users[pages.OPERATOR] = User.objects.get(email=seed.OPERATOR)
        self.browsers = {who: _signed_in(user) for who, user in users.items()}
        self.programs = {who: Client(headers=_header(each)) for who, each in self.members.items()}

    def client(self, call: pages.Call) -> Client:
        return (self.programs if call.is_api else self.browsers)[call.who]

    def _of_big(self, place: int) -> Membership:
        user_id = seed.FIRST_USER + place
        return Membership.objects.get(account=seed.BIG, user_id=user_id)

    def _administrator(self, account: int) -> Membership:
        members = Membership.objects.filter(account=account, role=Role.ADMINISTRATORS)
        return members.order_by("pk")[0]


def _signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return browser


def _header(member: Membership) -> dict[str, str]:
    token = token_services.issue(
        by=Actor.member(member),
        issuer=member,
        name="Measuring",
        role=member.held_role,
        expires_at=None,
        at=timezone.now(),
    )
    return {"authorization": f"APIKey {token.key.spell(SEPARATOR)}"}


def _call(people: _People, call: pages.Call) -> Figures:
    client = people.client(call)

    def run() -> str:
        response = client.get(call.path)
        for _chunk in response if response.streaming else ():
            pass
        expected = {call.status} if call.status else {200, 400}
        return "" if response.status_code in expected else f"status {response.status_code}"

    figures = _measured(call.who, call.name, run, bound=call.bound)
    if figures.note:
        figures.failures.append(figures.note)
    return figures


def _measured(
    who: str, name: str, run: Callable[[], str], *, bound: int | None = None, repeat: bool = True
) -> Figures:
    if repeat:
        run()  # templates and plans are known
    each = [_once(run)]
    while repeat and each[0].wall_ms < QUICK * 1000 and len(each) < RUNS:
        each.append(_once(run))
    figures = Figures(
        who,
        name,
        bound,
        queries=each[-1].queries,
        database_ms=statistics.median(one.database_ms for one in each),
        rows_read=min(one.rows_read for one in each),
        entries_read=min(one.entries_read for one in each),
        indices=sorted({name for one in each for name in one.indices}),
        wall_ms=statistics.median(one.wall_ms for one in each),
        memory_mb=max(one.memory_mb for one in each),
        note=each[-1].note,
    )
    if bound is not None and figures.database_ms > bound:
        figures.failures.append(f"{figures.database_ms:,.0f} ms of the database, bound {bound}")
    if figures.memory_mb > MOST_MEMORY:
        figures.failures.append(f"{figures.memory_mb:,.0f} MB above idle, bound {MOST_MEMORY}")
    return figures


def _once(run: Callable[[], str]) -> Figures:
    recorder, before = _Recorder(), _read()
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    idle = _memory("VmRSS")
    began = time.perf_counter()
    with connection.execute_wrapper(recorder):
        note = run()
    wall = time.perf_counter() - began
    read = _read().since(before)
    return Figures(
        "",
        "",
        queries=recorder.queries,
        database_ms=recorder.seconds * 1000,
        rows_read=read.rows,
        entries_read=read.entries,
        indices=sorted(read.scans),
        wall_ms=wall * 1000,
        memory_mb=max(0.0, _memory("VmHWM") - idle),
        note=note,
    )


class _Read(NamedTuple):
    """What the server has read since it began: rows, entries of indices, and how often each index
    was looked into."""

    rows: int
    entries: int
    scans: dict[str, int]

    def since(self, before: "_Read") -> "_Read":
        scans = {name: n - before.scans.get(name, 0) for name, n in self.scans.items()}
        return _Read(
            self.rows - before.rows,
            self.entries - before.entries,
            {name: number for name, number in scans.items() if number},
        )


def _read() -> _Read:
    """What has been read until now. (A backend tells of its own when asked to.)"""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(READ)
        rows, entries, scans = cursor.fetchone()
        return _Read(int(rows), int(entries), json.loads(scans))


def _memory(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    (line,) = re.findall(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(line) / 1024


def _exports(people: _People) -> Iterator[Figures]:
    for who, name, view, account, query in (
        (pages.ADMINISTRATOR, "CSV of the audit log", "accounts:audit_log_file", seed.BIG, ""),
        (pages.PLAIN, "CSV of the audit log", "accounts:audit_log_file", seed.BIG, ""),
        (pages.ADMINISTRATOR, "CSV of all tokens", "apitokens:list_file", seed.BIG, "?status=all"),
        (pages.OF_FULL, "CSV of tokens", "apitokens:list_file", seed.FULL, ""),
        (pages.OF_BUSY, "CSV of tokens", "apitokens:list_file", seed.BUSY, ""),
    ):
        path = reverse(view, kwargs={"account_id": account}) + query
        yield _export(people.browsers[who], who, name, path)


def _export(browser: Client, who: str, name: str, path: str) -> Figures:
    lines, status = 0, 0

    def run() -> str:
        nonlocal lines, status
        response = browser.get(path)
        lines, status = sum(bytes(chunk).count(b"\n") for chunk in response), response.status_code
        return ""

    first_byte = min(_first_byte(browser, path) for _time in range(2))  # templates are known
    figures = _measured(who, name, run, repeat=False)
    if status != HTTPStatus.OK:
        figures.failures.append(f"status {status}")
    rate = lines / figures.wall_ms * 1000
    figures.note = f"{lines:,} lines, {rate:,.0f} lines/s, first byte {first_byte:.0f} ms"
    if first_byte > FIRST_BYTE:
        figures.failures.append(f"first byte after {first_byte:,.0f} ms, bound {FIRST_BYTE}")
    if lines > EXPORT_LINES and rate < EXPORT_LINES:
        figures.failures.append(f"{rate:,.0f} lines a second, bound {EXPORT_LINES:,}")
    return figures


def _first_byte(browser: Client, path: str) -> float:
    """Milliseconds until a web server is given something of a file to send it to a browser."""
    serve = send_whole(get_wsgi_application())
    address, _mark, query = path.partition("?")
    asked: Any = {"PATH_INFO": address, "QUERY_STRING": query, "HTTP_ACCEPT_ENCODING": "gzip"}
    environ = browser._base_environ(**asked)  # type: ignore[attr-defined]  # not in the stubs
    begun: list[str] = []
    began = time.perf_counter()
    answer: Any = serve(environ, lambda status, *_headers: begun.append(status))
    next(iter(answer))
    waited = time.perf_counter() - began
    if not isinstance(answer, list):
        answer.close()
    if begun[-1] != "200 OK":
        raise RuntimeError(f"{path}: {begun[-1]}")
    return waited * 1000


def _commands() -> Iterator[Figures]:
    for words in (
        ("revoke_tokens", "--dry-run", "--unused-for", "90"),
        ("revoke_tokens", "--dry-run", "--account", str(seed.FULL)),
        ("send_expiry_notices", "--dry-run"),
    ):
        run = partial(_command, words)
        yield _measured("command", " ".join(words), run, repeat=False)


def _command(words: tuple[str, ...]) -> str:
    printed = _Discarded()
    call_command(*words, stdout=printed)
    return f"{printed.lines:,} lines"


class _Discarded(io.StringIO):
    """Counts lines and forgets them, as a terminal does."""

    lines = 0

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        return len(text)


def _tasks() -> Iterator[Figures]:
    by, at = Actor.operator(through=EntryPoint.SYSTEM), timezone.now()

    rate = 0.0

    def scan() -> str:
        nonlocal rate
        began = time.perf_counter()
        done = expiry.scan(at=at)
        rate = done.tokens / (time.perf_counter() - began)
        return f"{done.tokens:,} tokens, {done.notices:,} decisions, {rate:,.0f} tokens/s"

    def watch() -> str:
        return f"{inactivity.enforce_policies(by=by, at=at):,} people"

    yield _measured("task", "watch absences, first", watch, repeat=False)
    yield _measured("task", "watch absences, nothing to do", watch, repeat=False)
    scanned = _measured("task", "scan expirations", scan, repeat=False)
    if rate < SCANNED:
        scanned.failures.append(f"{rate:,.0f} tokens a second, bound {SCANNED:,}")
    yield scanned
    forget = lambda: f"{token_services.forget_digests(by=by, at=at + timedelta(days=1)):,} digests"  # noqa: E731
    yield _measured("task", "forget digests", forget, repeat=False)
