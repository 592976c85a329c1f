"""Examines an installation, and says in sentences what is well, risky or broken.

What is looked at are the system checks that `check --deploy --database default` runs; here each
topic is named, also if it is well, and a database that does not answer is a finding like others.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.db import Error, OperationalError, connection

from notifications.email.transport import SMTP
from operations.checks.database import connections_of_a_web
from operations.checks.servers import mail_server_answers, redis_answers
from operations.time_limit import within

SECONDS = 10.0
"""For the database to answer. What is asked of the others has bounds of its own."""
AWAY = "operations.E002"


class Topic(NamedTuple):
    """Something that is examined: which messages are about it, and what is said without one."""

    name: str
    ids: tuple[str, ...]
    well: str


class Finding(NamedTuple):
    """What is said about a topic."""

    topic: str
    sentence: str
    hint: str = ""
    level: int = checks.INFO

    @property
    def is_error(self) -> bool:
        return self.level >= checks.ERROR

    @property
    def is_warning(self) -> bool:
        return checks.WARNING <= self.level < checks.ERROR


def topics() -> list[Topic]:
    """All of them, in the order in which they are told."""
    database = "SQLite, in a file" if connection.vendor == "sqlite" else "PostgreSQL"
    redis = "It answers." if settings.REDIS_URL else "None: cache and queue are files of DATA_DIR."
    is_smtp = settings.EMAIL_BACKEND == SMTP
    mail = f"{settings.EMAIL_HOST} answers." if is_smtp else "Written to files."
    enough = "There are enough for one web."
    if connection.vendor == "postgresql":
        enough += f" Each one more keeps up to {connections_of_a_web()}."
    return [
        Topic("Database", (AWAY,), f"{database}. It answers."),
        Topic("Migrations", ("operations.E001",), "All are applied."),
        Topic("Clocks", ("operations.W001",), "This machine and the database agree."),
        Topic("Connections", ("operations.W002",), enough),
        Topic("Redis", ("operations.W005", "operations.W006", "apitokens.W006"), redis),
        Topic(
            "Email",
            ("operations.W007", "notifications.E001", "notifications.W001", "notifications.W003"),
            mail,
        ),
        Topic(
            "Peppers and keys",
            ("apitokens.E001", "apitokens.E002", "apitokens.W001", "apitokens.W005"),
            "They are those that the database knows.",
        ),
        Topic("Static files", ("apitokens.W002",), "They are collected."),
        Topic("Workers and beats", ("notifications.W002",), "Every job was done of late."),
        Topic(
            "Proxies and hosts",
            ("apitokens.W004", "apitokens.W007", "apitokens.W008", "apitokens.W009"),
            "The portal is reached by its own names, through proxies that it knows.",
        ),
        Topic("TLS", ("operations.W003", "operations.W004"), "Nothing travels in clear."),
    ]


def examine() -> list[Finding]:
    """A finding for each topic that is well, and one for each message about another."""
    answers = _database_answers()
    messages = [] if answers is None else [answers]
    databases = ["default"] if answers is None else None
    messages += _found(databases)
    told = topics()
    if answers is not None:
        needs = {"Migrations", "Clocks", "Connections", "Peppers and keys", "Workers and beats"}
        told = [topic for topic in told if topic.name not in needs]
    return [*_of_topics(told, messages), *_others(messages)]


def _found(databases: list[str] | None) -> list[CheckMessage]:
    """What the checks have found, but for what SILENCED_SYSTEM_CHECKS says is meant."""
    found = checks.run_checks(include_deployment_checks=True, databases=databases)
    if databases is None:  # these two ask only where databases may be asked, and other servers
        found += [*redis_answers(["default"]), *mail_server_answers(["default"])]
    return [message for message in found if not message.is_silenced()]


def _of_topics(told: list[Topic], messages: list[CheckMessage]) -> Iterable[Finding]:
    for topic in told:
        about = [message for message in messages if message.id in topic.ids]
        yield from (_finding(topic.name, message) for message in about)
        if not about:
            yield Finding(topic.name, topic.well)


def _others(messages: list[CheckMessage]) -> Iterable[Finding]:
    known = {each for topic in topics() for each in topic.ids}
    return (_finding("Settings", message) for message in messages if message.id not in known)


def _finding(topic: str, message: CheckMessage) -> Finding:
    return Finding(topic, str(message.msg), str(message.hint or ""), message.level)


def _database_answers() -> CheckMessage | None:
    """The message that it does not; None if it does."""
    try:
        within(SECONDS, _ask)
    except (Error, TimeoutError) as error:
        reason = next(iter(str(error).strip().splitlines()), "no answer").rstrip(".")
        return checks.Error(
            f"It isn't responding ({reason}). What it would tell is left out below.",
            hint="Check DATABASE_URL (or DATA_DIR), and whether the database runs.",
            id=AWAY,
        )
    return None


def _ask() -> None:
    database: Any = connection
    if database.vendor == "sqlite" and not database.is_in_memory_db():
        _require_file(Path(str(database.settings_dict["NAME"])))
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    connection.close()  # it is this thread's


def _require_file(path: Path) -> None:
    """To connect to SQLite would make an empty one."""
    if not path.exists():
        raise OperationalError(f"there is no {path}")
