"""The people, accounts, browsers and clients that most tests need."""

import gc
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.commands import flush
from django.db import connection, connections
from django.db.backends.base.operations import BaseDatabaseOperations
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings
from redis import Redis
from rest_framework.test import APIClient
from whitenoise import WhiteNoise

from accounts.models import Account, Membership
from accounts.roles import Role
from accounts.tenancy.decorators import SESSION_KEY
from apitokens.cache.token_caches import TOKENS, VERIFIERS
from apitokens.keys import Key
from apitokens.tokens.services import Issued
from apitokens.usage import flusher
from apitokens.usage.buffer import UsageBuffer
from apitokens.usage.flusher import UsageFlusher
from apitokens.verification import throttling
from config.html.thread_locals import keep_by_thread
from notifications import jobs, tasks
from tests import described, environment, portal, services
from tests.engines import chromium as chromium_program
from tests.factories import ACCOUNT_ID, PASSWORD, AccountFactory, MembershipFactory
from tests.factories import issue as issue_for
from tests.idp import samlp, simplesamlphp
from tests.idp.simplesamlphp import SimpleSAMLphp
from tests.pgbouncer import pgbouncer_path
from tests.ways_in.routes import no_other_way

NO_NGINX = "needs an nginx; get one with: apt-get install nginx-light"
NO_PGBOUNCER = "needs PgBouncer; get it with: apt-get install pgbouncer"
ONCE = bool(os.environ.get("TEST_ONCE"))
"""Whether a run on PostgreSQL follows, which takes most of what touches the database."""
PREPARED_TABLES = "TEST_PREPARED_TABLES"
"""The address of a PostgreSQL that goes with the run: a database may stay there to be copied."""
MANY = 1_000
"""Rows. Fewer are deleted, which is quicker than to truncate a table."""
SECONDS_OF_LONG = 900
"""After which a long form that says nothing else is given up; all others have pyproject's 600."""
MADE_BY_DJANGO = {"auth_permission", "django_content_type"}
"""Tables that it fills after migrations."""
KNOWN_TO_PROCESSES = {"apitokens_verifyinghost"}
"""Tables of which processes believe for a while that a row is there."""
ONE_DATABASE_WILL_DO = ("browser", "contract", "nginx", "proxies", "samlp", "simplesamlphp")

Issue = Callable[..., Issued]
SignIn = Callable[[Client, Membership], None]
Api = Callable[[Key | str], APIClient]


def is_on_postgresql() -> bool:
    return connection.vendor == "postgresql"


def pytest_report_header() -> str:
    return f"portal on {connection.vendor}, data in {environment.DATA_DIR}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured (with `record_property`)."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{name}: {value}")


def pytest_configure(config: pytest.Config) -> None:
    """Busy machines are slow, which is no fault; the long form looks for more."""
    hypothesis.settings.register_profile("short", deadline=None)
    hypothesis.settings.register_profile("long", deadline=None, max_examples=1000)
    hypothesis.settings.load_profile("long" if _is_long(config) else "short")
    keep_by_thread()  # as processes do that serve


def _is_long(config: pytest.Config) -> bool:
    return "long" in config.option.markexpr


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another run does: see docs/tests.md for the rule."""
    is_long = _is_long(config)
    kept, dropped = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        belongs = _runs_here(item) and (is_long or not item.get_closest_marker("long"))
        (kept if belongs else dropped).append(item)
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SECONDS_OF_LONG))
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def pytest_collection_finish() -> None:
    """What was collected stays to the end. The garbage collector need not look through thousands of
    tests again and again."""
    gc.collect()
    gc.freeze()


def _runs_here(item: pytest.Item) -> bool:
    """True for every test of a bare pytest on SQLite. `python -m tests` has two runs, and each test
    is in one of them, or in both if the databases differ in what it looks at."""
    if is_on_postgresql():
        return _touches_the_database(item)
    return not ONCE or not _touches_the_database(item) or _differs_by_database(item)


def _touches_the_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("both"):
        return True
    if any(item.get_closest_marker(name) for name in ONE_DATABASE_WILL_DO):
        return False
    fixtures = {"db", "transactional_db", "live_server"} & _fixtures(item)
    return bool(fixtures or item.get_closest_marker("django_db"))


def _differs_by_database(item: pytest.Item) -> bool:
    """Whether it says so, or commits: locks and transactions are not the same on both."""
    marker = item.get_closest_marker("django_db")
    commits = marker is not None and marker.kwargs.get("transaction", False)
    fixtures = {"transactional_db", "live_server"} & _fixtures(item)
    return bool(commits or fixtures or item.get_closest_marker("both"))


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without Chromium, nginx or PgBouncer tests that need them are skipped, but never in CI."""
    if item.get_closest_marker("browser") and chromium_program.path() is None:
        give_up(chromium_program.MISSING)
    if item.get_closest_marker("nginx") and nginx_path() is None:
        give_up(NO_NGINX)
    if item.get_closest_marker("pgbouncer") and is_on_postgresql() and pgbouncer_path() is None:
        give_up(NO_PGBOUNCER)


def give_up(reason: str) -> NoReturn:
    """Something is missing that the test needs: on a person's machine it is skipped, in CI it
    fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def nginx_path() -> str | None:
    """Where nginx is, or None. Debian keeps it where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium, for tests with the marker `browser`."""
    path = chromium_program.path()
    assert path is not None, chromium_program.MISSING
    return path


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None,
) -> Iterator[None]:
    """SQLite lives in a file, as for everybody: in memory it knows no WAL and no second writer.

    In a run of many workers the tables are made once and copied.
    """
    test = dict(connections.settings["default"]["TEST"])
    if connection.vendor == "sqlite":
        test["NAME"] = str(environment.DATA_DIR / "test.sqlite3")
    if is_on_postgresql() and os.environ.get(PREPARED_TABLES):
        test["TEMPLATE"] = portal.prepared_tables(os.environ[PREPARED_TABLES])
    connections.settings["default"]["TEST"] = test
    with pytest.MonkeyPatch.context() as patch:
        if connection.vendor == "sqlite" and os.environ.get(portal.SHARED):
            creation: Any = connection.creation
            create = creation._create_test_db

            def copy(*facts: Any, **options: Any) -> str:
                return str(shutil.copy(portal.prepared() / portal.EMPTY, create(*facts, **options)))

            patch.setattr(creation, "_create_test_db", copy)
        yield


@pytest.fixture(scope="session", autouse=True)
def static_files() -> Iterator[None]:
    """Pages name their files by content; the names come from collecting them.

    WhiteNoise reads the whole folder for every test client. Here it does so once: reading it again
    costs more than most tests.
    """
    shutil.copytree(
        portal.once("static", _collect), django_settings.STATIC_ROOT, dirs_exist_ok=True
    )
    read, known = WhiteNoise.update_files_dictionary, dict[str, dict[str, Any]]()

    def read_once(self: Any, root: str, prefix: str) -> None:
        if root not in known:
            read(self, root, prefix)
            known[root] = dict(self.files)
        self.files.update(known[root])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoise, "update_files_dictionary", read_once)
        yield


def _collect(folder: Path) -> None:
    """Collect static files for this worker, and a copy for the others."""
    call_command("collectstatic", interactive=False, verbosity=0)
    shutil.copytree(django_settings.STATIC_ROOT, folder, dirs_exist_ok=True)


@pytest.fixture(scope="session", autouse=True)
def described_answers() -> Iterator[None]:
    """Whatever the API answers to a test, its description must say so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "request", described.judged(Client.request))
        yield


@pytest.fixture(scope="session", autouse=True)
def known_ways_in() -> Iterator[None]:
    """Whatever signs somebody in during a test is a way that the table of ways has."""
    with no_other_way():
        yield


@pytest.fixture(scope="session", autouse=True)
def emptied_tables() -> Iterator[None]:
    """Between tests the tables are emptied; the triggers that forbid it for events step aside.

    Django's own tables of models and permissions stay as they are: making them anew, after each
    test that commits, takes longer than most of these.
    """
    execute = BaseDatabaseOperations.execute_sql_flush

    def flush_everything(operations: Any, statements: list[str]) -> None:
        aside, back = _audit_triggers()
        execute(operations, [*aside, *statements, *back])

    def statements(style: Any, connection: Any, **options: Any) -> list[str]:
        tables = sorted(
            set(connection.introspection.django_table_names(only_existing=True))
            - MADE_BY_DJANGO
            - KNOWN_TO_PROCESSES
        )
        rows = _rows(tables) if is_on_postgresql() else {}
        if rows and max(rows.values()) < MANY:
            return [f"DELETE FROM {table}" for table in tables if rows[table]]
        return list(connection.ops.sql_flush(style, tables, **options))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush_everything)
        patch.setattr(flush, "sql_flush", statements)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_facts, **_options: None)
        yield


def _rows(tables: Iterable[str]) -> dict[str, int]:
    """How many rows the tables have, up to `MANY`. To PostgreSQL an empty table costs as much as a
    full one when it is truncated: sixty of them take longer than most tests."""
    counts = (
        f"SELECT '{table}', count(*) FROM (SELECT FROM {table} LIMIT {MANY}) AS present"
        for table in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(counts))
        return dict(cursor.fetchall())


def _audit_triggers() -> tuple[list[str], list[str]]:
    """Statements that put the triggers of the audit log aside, and back as they were."""
    if is_on_postgresql():
        table = "ALTER TABLE accounts_auditevent"
        return [f"{table} DISABLE TRIGGER USER"], [f"{table} ENABLE TRIGGER USER"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = dict(cursor.fetchall())
    return [f"DROP TRIGGER {name}" for name in triggers], list(triggers.values())


@pytest.fixture(autouse=True)
def cheap_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    """Rate limits begin anew with every test, and nothing is remembered of another's tokens."""
    cache.clear()
    TOKENS.clear()
    VERIFIERS.clear()
    throttling.forget()
    tasks.trigger_delivery.quiet_until = 0.0


@pytest.fixture(autouse=True)
def usage_flusher(monkeypatch: pytest.MonkeyPatch) -> UsageFlusher:
    """Uses of tokens wait in a buffer of the test's own until the test flushes it: no thread writes
    beside it."""
    monkeypatch.setattr(UsageFlusher, "start", lambda _self: None)
    fresh = UsageFlusher(UsageBuffer())
    monkeypatch.setattr(flusher, "usage_flusher", fresh)
    return fresh


@pytest.fixture
def own_clock() -> None:
    """The database has its own clock in this test, which does not travel."""


@pytest.fixture(autouse=True)
def one_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of PostgreSQL travels with that of the test."""
    if "own_clock" not in request.fixturenames:
        monkeypatch.setattr(jobs, "_clock_of_postgresql", timezone.now)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield environment.numbered_redis(given)
        return
    with services.redis() as url:
        yield url


@pytest.fixture(scope="session")
def providers() -> Iterator[dict[str, samlp.Provider]]:
    """Two identity providers made by others: `example` and `globex`."""
    try:
        samlp.install()
    except samlp.Unavailable as reason:
        give_up(f"needs the identity providers of tests/idp: {reason}")
    with samlp.serve(["example", "globex"]) as running:
        yield running


@pytest.fixture(scope="session")
def simple_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleSAMLphp]:
    """SimpleSAMLphp, which knows Maria; it has to be told of the portal."""
    insist_on_simplesamlphp()
    with simplesamlphp.serve(tmp_path_factory.mktemp("simplesamlphp")) as running:
        yield running


def insist_on_simplesamlphp() -> None:
    try:
        simplesamlphp.require_installed()
    except samlp.Unavailable as reason:
        give_up(f"needs SimpleSAMLphp: {reason}")


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The address of a Redis database that is empty and this test's own."""
    with Redis.from_url(redis_server) as client:
        client.flushdb()
    return redis_server


@pytest.fixture
def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


@pytest.fixture
def account(db: None) -> Account:
    return AccountFactory.create(pk=ACCOUNT_ID, name="Example Inc.")


@pytest.fixture
def administrator(account: Account) -> Membership:
    """An Administrator of the account."""
    return MembershipFactory.create(account=account, role=Role.ADMINISTRATORS)


@pytest.fixture
def engineer(account: Account) -> Membership:
    """A member of the account with the role Engineers."""
    return MembershipFactory.create(account=account, role=Role.ENGINEERS)


@pytest.fixture
def user(account: Account) -> Membership:
    """A member of the account with the weakest role, Users."""
    return MembershipFactory.create(account=account, role=Role.USERS)


@pytest.fixture
def stranger(db: None) -> Membership:
    """An Administrator of another account."""
    return MembershipFactory.create(account__name="Globex", role=Role.ADMINISTRATORS)


@pytest.fixture
def issue(now: datetime) -> Issue:
    """`issue(member, **facts)`: a token of the member, issued at `now` unless `at=` is given."""

    def act(member: Membership, **facts: Any) -> Issued:
        return issue_for(member, **{"at": now, **facts})

    return act


@pytest.fixture
def sign_in() -> SignIn:
    """`sign_in(client, member)`: the client is the member's browser from now on."""

    def act(client: Client, member: Membership) -> None:
        client.force_login(member.user)
        session = client.session
        session[SESSION_KEY] = member.account_id
        session.save()

    return act


@pytest.fixture
def sign_in_now(sign_in: SignIn) -> SignIn:
    """As `sign_in`, and the person has just given their password once more."""

    def act(client: Client, member: Membership) -> None:
        sign_in(client, member)
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})

    return act


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Let what is read inside the test's own transaction be remembered, and for long: a busy
    machine must not make memory forget in the middle of a test."""
    settings.VERIFY_CACHE_SECONDS = 60
    monkeypatch.setattr("apitokens.verification.token_lookup.is_in_transaction", lambda: False)
    monkeypatch.setattr("apitokens.verification.verifier_keys.is_in_transaction", lambda: False)
    monkeypatch.setattr("apitokens.cache.hosts._leases_end", lambda _marks: float("inf"))


@pytest.fixture
def api() -> Api:
    """`api(key)`: a client that sends the token, a `Key` or any text, with every request."""

    def act(token: Key | str) -> APIClient:
        text = token.spell() if isinstance(token, Key) else token
        return APIClient(headers={"Authorization": f"APIKey {text}"})

    return act
