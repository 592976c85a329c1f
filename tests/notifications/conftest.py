"""A real mail server, the settings that point to it, and mails to send."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol

import pytest
from pytest_django import Settings

from accounts.models import Membership
from notifications.email import transport
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS
from notifications.models import IN_HAND, Mail
from tests.mailserver import MailServer, mail_server

MakeMail = Callable[..., Mail]
TIMEOUT = 0.4


class HasPort(Protocol):
    """A server of this machine, of whatever sort."""

    port: int


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    """An SMTP server, to which the portal sends its mail."""
    with mail_server() as running:
        send_to(running, settings)
        yield running


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait a minute for an answer that will not come."""
    monkeypatch.setattr(transport, "PATIENCE", 1)


def send_to(server: HasPort, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", server.port
    settings.EMAIL_TIMEOUT = TIMEOUT


@pytest.fixture
def mail(now: datetime) -> MakeMail:
    """`mail(member, **facts)`: a mail on its way to the member, due at `now`; claimed if its
    state says so."""

    def act(member: Membership, **facts: Any) -> Mail:
        in_hand = {"owner": "a sender", "lease_until": now} if facts.get("state") in IN_HAND else {}
        words = {"title": "Look here", "text": "Something happened.", "link": "/tokens/"}
        return Mail.objects.create(
            **{
                "user": member.user,
                "account": member.account,
                "kind": TOKEN_CHANGED_BY_OTHERS.code,
                "facts": words,
                "created_at": now,
                "next_try_at": now,
                "give_up_at": now + timedelta(days=3),
                **in_hand,
                **facts,
            }
        )

    return act
