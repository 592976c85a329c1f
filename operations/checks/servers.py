"""System checks that ask Redis and the mail server whether they are there.

They go into the network: so `check --deploy` runs them with `--database default` only.
"""

import smtplib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.core.mail import get_connection

from notifications.email.transport import SMTP

SECONDS = 3


@register(Tags.database, deploy=True)
def redis_answers(databases: Sequence[str] | None = None, **_facts: Any) -> list[CheckMessage]:
    """Limits are shared, and tasks queued, in Redis."""
    if not databases or not settings.REDIS_URL:
        return []
    from redis import Redis, RedisError  # loading it takes a fifth of a process's start
    from redis.exceptions import ResponseError

    memory: dict[str, Any] = {}
    try:
        with Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=SECONDS, socket_timeout=SECONDS
        ) as client:
            client.ping()
            with suppress(ResponseError):  # not everybody may ask for it
                memory = client.info("memory")
    except Exception as error:  # a server of another kind answers in any way
        is_redis = isinstance(error, RedisError | OSError)
        reason = _brief(error) if is_redis else "what answers there is not Redis"
        return [
            checks.Warning(
                f"Redis isn't responding ({reason}): each process limits tries by what it "
                "knows, and tasks wait until it is back.",
                hint="Check REDIS_URL, and whether Redis runs.",
                id="operations.W005",
            )
        ]
    return _drops_keys(memory)


def _drops_keys(memory: dict[str, Any]) -> list[CheckMessage]:
    """By what INFO tells: clouds refuse CONFIG."""
    policy = memory.get("maxmemory_policy", "")
    if not (memory.get("maxmemory") and policy.startswith("allkeys")):
        return []
    return [
        checks.Warning(
            "Redis drops any key when it is full (maxmemory-policy allkeys-…): queued tasks and "
            "limits of tries would go.",
            hint="Set maxmemory-policy to volatile-lru or noeviction.",
            id="operations.W006",
        )
    ]


@register(Tags.database, deploy=True)
def mail_server_answers(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """Sign in at the mail server, and send nothing."""
    if not databases or settings.EMAIL_BACKEND != SMTP:
        return []
    backend = get_connection(timeout=SECONDS)
    try:
        backend.open()
        backend.close()
    except (OSError, smtplib.SMTPException) as error:
        return [
            checks.Warning(
                f"The mail server {settings.EMAIL_HOST}:{settings.EMAIL_PORT} can't be used "
                f"({_brief(error)}): emails wait until it can.",
                hint="Check EMAIL_URL, and prove it with manage.py send_test_email ADDRESS.",
                id="operations.W007",
            )
        ]
    return []


def _brief(error: Exception) -> str:
    """The first line of what was said, without a full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
