"""All that is measured, one after the other: calls, exports, commands, changes and tasks."""

import io
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.conf import settings
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
from apitokens.verification.verifier_keys import issue_verifier
from benchmarks.scale.asked import calls, changes, pages
from benchmarks.scale.data import seed
from benchmarks.scale.data.seed import Sizes
from benchmarks.scale.measure import Figures, measured, read_until_now
from benchmarks.scale.plans import Slowest
from config.celery import app
from config.server.responses import send_whole

EXPORT_LINES = 20_000
"""Lines a second that every export has to reach."""
FIRST_BYTE = 100
SCANNED = 3_000
"""Tokens a second that the scan of expirations has to reach."""
SEPARATOR: Separator = "_"
FORM = "application/x-www-form-urlencoded"


def everything(sizes: Sizes, *, only_pages: bool = False) -> Iterator[Figures]:
    """All figures, one after the other. What changes the data comes last."""
    people = _People()
    for call in pages.calls(sizes):
        yield _call(people, call)
    if only_pages:
        return
    yield from _exports(people)
    yield from _commands(COMMANDS)
    for change in changes.changes(sizes, people.text[calls.ADMINISTRATOR]):
        yield _change(people, change)
    for form in changes.forms(sizes):
        yield _form(people, form)
    yield from _tasks()
    yield from _commands(last_commands(sizes))


MENDED = {
    *("audit log", "audit log, page 300", "audit log, quiet token", "audit log, rare kind"),
    *("audit log, busy person", "token with 100,000 events", "tokens", "tokens, search"),
    *("tokens, search of one letter", "tokens, all, last page", "users", "users, search"),
    *("API: tokens", "API: users", "API: account", "API: logins"),
    *("apitokens_apitoken", "apitokens_apitoken, search", "accounts_auditevent, search"),
    *("events, rare kind", "events through a token", "notifications_mail", "people who match"),
}
"""Calls whose plans are written down."""


def mended(sizes: Sizes) -> Iterator[tuple[str, Callable[[Slowest], object]]]:
    """Each of these calls, to be run while its statements are listened to."""
    people = _People()
    for call in pages.calls(sizes):
        if call.name in MENDED and call.who != calls.PLAIN:
            yield f"{call.who}: {call.name}", partial(_listened, people.client(call), call.path)


def _listened(client: Client, path: str, slowest: Slowest) -> None:
    def hear(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, *rest)
        finally:
            slowest.hear(time.perf_counter() - began, sql, params)

    client.get(path)  # plans and templates are known
    before = read_until_now()
    with connection.execute_wrapper(hear):
        client.get(path)
    slowest.indices = sorted(read_until_now().since(before).scans)


class _People:
    """Who opens the pages: a browser that has signed in, or a token, for each of them. `text` is
    the text of each token, and `verifier` has a verifier key."""

    def __init__(self) -> None:
        members = {
            calls.ADMINISTRATOR: self._of_big(seed.ADMINISTRATOR),
            calls.PLAIN: self._of_big(seed.MEMBER),
            calls.OF_FULL: self._administrator(seed.FULL),
            calls.OF_BUSY: self._administrator(seed.BUSY),
        }
        users = {who: member.user for who, member in members.items()}
        users[calls.OPERATOR] = User.objects.get(email=seed.OPERATOR)
        self.browsers = {who: _signed_in(user) for who, user in users.items()}
        self.text = {who: _token(each) for who, each in members.items()}
        self.programs = {who: _program(f"APIKey {text}") for who, text in self.text.items()}
        self.verifier = _program(f"Bearer {_verifier_key()}")

    def client(self, call: calls.Call) -> Client:
        if call.bearer:
            return _program(f"Bearer {call.bearer}")
        return (self.programs if call.is_api else self.browsers)[call.who]

    def _of_big(self, place: int) -> Membership:
        user_id = seed.FIRST_USER + place
        return Membership.objects.get(account=seed.BIG, user_id=user_id)

    def _administrator(self, account: int) -> Membership:
        members = Membership.objects.filter(account=account, role=Role.ADMINISTRATORS)
        return members.order_by("pk")[0]


def _signed_in(user: User) -> Client:
    """A browser whose person has just shown that it is them, and has for an hour."""
    browser = Client()
    browser.force_login(user, "django.contrib.auth.backends.ModelBackend")
    session = browser.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time() + 3600}]
    session.save()
    return browser


def _token(member: Membership) -> str:
    token = token_services.issue(
        by=Actor.member(member),
        issuer=member,
        name="Measuring",
        role=member.held_role,
        expires_at=None,
        at=timezone.now(),
    )
    return token.key.spell(SEPARATOR)


def _verifier_key() -> str:
    operator = Actor.operator(through=EntryPoint.COMMAND)
    return issue_verifier(name="Measuring", by=operator, at=timezone.now()).key.spell(SEPARATOR)


def _program(authorization: str) -> Client:
    return Client(headers={"authorization": authorization})


def _call(people: _People, call: calls.Call) -> Figures:
    client = people.client(call)

    def run() -> str:
        response = client.get(call.path)
        for _chunk in response if response.streaming else ():
            pass
        is_good = response.status_code == call.status if call.status else _is_ours(response)
        return "" if is_good else f"status {response.status_code}"

    return _without_faults(measured(call.who, call.name, run, bound=call.bound))


def _is_ours(response: Any) -> bool:
    """True for what the portal says of itself: 503 is an answer of a probe."""
    return response.status_code in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, 503)


def _without_faults(figures: Figures) -> Figures:
    if figures.note:
        figures.failures.append(figures.note)
    return figures


def _change(people: _People, change: changes.Change) -> Figures:
    client = people.verifier if change.by_verifier else people.programs[change.who]
    times = iter(range(change.runs))

    def run() -> str:
        n = next(times)
        response = client.generic(
            change.method,
            change.path(n),
            urlencode(change.body(n)) if change.is_form else json.dumps(change.body(n)),
            content_type=FORM if change.is_form else "application/json",
        )
        return "" if response.status_code < HTTPStatus.BAD_REQUEST else _refusal(response)

    repeat = change.runs > 1
    figures = measured(change.who, change.name, run, bound=change.bound, repeat=repeat)
    return _without_faults(figures)


def _form(people: _People, form: changes.Form) -> Figures:
    browser = people.browsers[calls.OF_FULL]
    sent = changes.answers(browser, form)

    def run() -> str:
        response = browser.post(form.path, sent)
        return "" if response.status_code == HTTPStatus.FOUND else _refusal(response)

    return _without_faults(measured(calls.OF_FULL, form.name, run, repeat=False))


def _refusal(response: Any) -> str:
    return f"status {response.status_code}: {response.content.decode()[:200]}"


EXPORTS = (
    (calls.ADMINISTRATOR, "CSV of the audit log", "accounts:audit_log_file", seed.BIG, ""),
    (calls.PLAIN, "CSV of the audit log", "accounts:audit_log_file", seed.BIG, ""),
    (calls.ADMINISTRATOR, "CSV of all tokens", "apitokens:list_file", seed.BIG, "?status=all"),
    (calls.OF_FULL, "CSV of tokens", "apitokens:list_file", seed.FULL, ""),
    (calls.OF_BUSY, "CSV of tokens", "apitokens:list_file", seed.BUSY, ""),
)
"""Who downloads which file: its name, view, account and filters."""


def _exports(people: _People) -> Iterator[Figures]:
    for who, name, view, account, query in EXPORTS:
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
    figures = measured(who, name, run, repeat=False)
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


COMMANDS = (
    ("revoke_tokens", "--dry-run", "--unused-for", "90"),
    ("revoke_tokens", "--dry-run", "--account", str(seed.FULL)),
    ("send_expiry_notices", "--dry-run"),
    ("status",),
    ("doctor",),
)
ONE_ROW = "reads and writes what is of one person, account or token"
WHOLE = "reads or writes all there is, by the means of the database"
COMMANDS_NOT_MEASURED = {
    **dict.fromkeys(
        ("issue_token", "issue_verifier", "create_account", "create_operator"), ONE_ROW
    ),
    **dict.fromkeys(("changepassword", "createsuperuser", "stop_forcing_sso"), ONE_ROW),
    **dict.fromkeys(("switch_off_second_factors", "send_test_email"), ONE_ROW),
    **dict.fromkeys(("backup", "restore", "settle_restored", "migrate"), WHOLE),
    "accept_secret_key": "reads all digests once, after a key was lost",
    "serve_metrics": "its page is measured as `metrics`",
    "seed_demo": "fills an empty portal",
}
"""The portal's commands that are not run here, and why."""


def last_commands(sizes: Sizes) -> tuple[tuple[str, ...], ...]:
    former, to = (str(seed.FIRST_USER + sizes.members_of_big + place) for place in (4, 5))
    hand_over = ("hand_over_tokens", "--account", str(seed.FULL), "--from", former, "--to", to)
    return hand_over, ("prune_audit", "--older-than", "690d")


def _commands(lines: tuple[tuple[str, ...], ...]) -> Iterator[Figures]:
    for words in lines:
        ended: list[object] = []
        run = partial(_command, words, ended)
        figures = measured("command", " ".join(words), run, repeat=False)
        if ended and words[0] not in FINDING:
            figures.failures.append(f"ended with {ended[0]}")
        yield figures


FINDING = {"status", "doctor"}
"""They end with 1 where there is something to mend, and have said so."""


def _command(words: tuple[str, ...], ended: list[object]) -> str:
    printed = _Discarded()
    try:
        call_command(*words, stdout=printed, stderr=_Discarded())
    except SystemExit as end:
        ended.append(end.code)
    return f"{printed.lines:,} lines"


class _Discarded(io.StringIO):
    """Counts lines and forgets them, as a terminal does."""

    lines = 0

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        return len(text)


TWICE = "enforce-inactivity-policies"
TASKS_NOT_MEASURED = {"deliver-mails": "is measured by `make bench-notices`"}


def _tasks() -> Iterator[Figures]:
    """All that beat sends, in its order; the first applies the policies of absence, and then finds
    nothing to do."""
    app.loader.import_default_modules()
    yield _scan()
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        if name in TASKS_NOT_MEASURED or name == SCAN:
            continue
        for words in ("", ", nothing to do") if name == TWICE else ("",):
            yield measured("task", name + words, partial(_done, entry["task"]), repeat=False)


def _done(task: str) -> str:
    done = app.tasks[task]()
    return "" if done is None else f"{done:,} done"


SCAN = "scan-expirations"


def _scan() -> Figures:
    at, rate = timezone.now(), 0.0

    def scan() -> str:
        nonlocal rate
        began = time.perf_counter()
        done = expiry.scan(at=at)
        rate = done.tokens / (time.perf_counter() - began)
        return f"{done.tokens:,} tokens, {done.notices:,} decisions, {rate:,.0f} tokens/s"

    scanned = measured("task", SCAN, scan, repeat=False)
    if rate < SCANNED:
        scanned.failures.append(f"{rate:,.0f} tokens a second, bound {SCANNED:,}")
    return scanned
