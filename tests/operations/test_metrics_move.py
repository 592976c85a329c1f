"""No metric is constantly zero: what it counts happens here, and `/metrics` tells of it."""

import shutil
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from accounts.models import Membership
from accounts.throttling.threads import SHARES
from apitokens.usage.flusher import UsageFlusher
from config.database.places import places
from notifications.email import delivery
from notifications.models import State
from notifications.tasks import deliver_mails
from operations.metrics.exposition import stored
from tests import services
from tests.conftest import Issue
from tests.factories import PASSWORD
from tests.launcher.portal import READY, started, wait_until
from tests.mailserver import NO_SUCH_USER, MailServer
from tests.notifications.conftest import MakeMail, impatience, mail, server
from tests.operations.test_metrics import TOKEN, own_counts, scrape, value
from tests.portal import prepared

__all__ = ["impatience", "mail", "own_counts", "server"]

DELIVER = deliver_mails.name


class Scene:
    """What the cases below act with."""

    def __init__(self, **things: Any) -> None:
        self.__dict__.update(things)

    client: Client
    user: Membership
    issue: Issue
    mail: MakeMail
    server: MailServer
    flusher: UsageFlusher
    now: datetime
    monkeypatch: pytest.MonkeyPatch


@pytest.fixture
def scene(
    client: Client, user: Membership, issue: Issue, mail: MakeMail, server: MailServer,
    usage_flusher: UsageFlusher, now: datetime, monkeypatch: pytest.MonkeyPatch,
) -> Scene:  # fmt: skip
    return Scene(
        client=client, user=user, issue=issue, mail=mail, server=server, flusher=usage_flusher,
        now=now, monkeypatch=monkeypatch,
    )  # fmt: skip


def does_a_task(_scene: Scene) -> None:
    deliver_mails.apply()


def fails_at_a_task(scene: Scene) -> None:
    def fail() -> None:
        raise ValueError("a fault")

    with scene.monkeypatch.context() as patch:
        patch.setattr(delivery, "deliver", fail)
        deliver_mails.apply()


def loses_the_database(scene: Scene) -> None:
    def away(*_facts: object) -> None:
        raise OperationalError("the server closed the connection")

    with scene.monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", away)
        assert scene.client.get("/healthz").status_code == 503


def has_no_place_left(scene: Scene) -> None:
    with ExitStack() as waiting:
        for _each in range(SHARES.with_database):
            waiting.enter_context(places.take(is_patient=False))
        patient = Client(raise_request_exception=False)
        assert patient.get(reverse("account_login")).status_code == 503


def has_a_mail_refused(scene: Scene) -> None:
    scene.server.keeper.mood = NO_SUCH_USER
    scene.mail(scene.user)
    delivery.deliver()


def dies_while_handing_a_mail_over(scene: Scene) -> None:
    scene.mail(scene.user, state=State.HANDING_OVER, lease_until=scene.now, resend_in_doubt=False)
    delivery.deliver()


def owes_a_notice(scene: Scene) -> None:
    ends_at = scene.now + timedelta(days=7) - timedelta(minutes=5)
    scene.issue(scene.user, at=scene.now - timedelta(days=30), expires_at=ends_at)


def cannot_store_uses(scene: Scene) -> None:
    def refuse(*_facts: object) -> None:
        raise OperationalError("disk full")

    scene.monkeypatch.setattr(scene.flusher, "_store_unseen_addresses", refuse)
    scene.flusher.flush()


def signs_in(scene: Scene) -> None:
    form = {"login": scene.user.user.email, "password": PASSWORD}
    assert scene.client.post(reverse("account_login"), form).status_code == 302


def fails_to_sign_in(scene: Scene) -> None:
    form = {"login": scene.user.user.email, "password": "a wrong one, guessed"}
    assert scene.client.post(reverse("account_login"), form).status_code == 200


MOVES: list[tuple[Callable[[Scene], None], str, dict[str, str]]] = [
    (does_a_task, "permatoken_tasks_total", {"task": DELIVER, "result": "success"}),
    (does_a_task, "permatoken_task_duration_seconds_count", {"task": DELIVER}),
    (does_a_task, "permatoken_task_duration_seconds_sum", {"task": DELIVER}),
    (fails_at_a_task, "permatoken_tasks_total", {"task": DELIVER, "result": "failure"}),
    (loses_the_database, "permatoken_database_errors_total", {"kind": "unavailable"}),
    (has_no_place_left, "permatoken_database_turned_away_total", {}),
    (has_a_mail_refused, "permatoken_emails", {"state": "failed"}),
    (dies_while_handing_a_mail_over, "permatoken_emails", {"state": "held"}),
    (owes_a_notice, "permatoken_oldest_due_notice_age_seconds", {}),
    (cannot_store_uses, "permatoken_usage_waiting_seconds", {}),
    (signs_in, "permatoken_audit_events_total", {"event": "sign_in.succeeded"}),
    (fails_to_sign_in, "permatoken_audit_events_total", {"event": "sign_in.refused"}),
]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("happens", "name", "labels"), MOVES, ids=[f"{act.__name__}-{name}" for act, name, _ in MOVES]
)
def test_what_happens_is_told(
    scene: Scene, happens: Callable[[Scene], None], name: str, labels: dict[str, str]
) -> None:
    assert value(scrape(scene.client), name, **labels) == 0

    happens(scene)

    stored.forget()
    assert value(scrape(scene.client), name, **labels) > 0


def test_task_of_a_worker_shows_where_a_web_is_asked(tmp_path: Path) -> None:
    """Real processes: the web that is asked has done no task."""
    data_dir, port = shutil.copytree(prepared(), tmp_path / "used"), services.free_port()
    words = {"task": DELIVER, "result": "success"}

    def told() -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())

    with started(data_dir, port=port, METRICS_TOKEN=TOKEN, NOTICES_EVERY_SECONDS="1") as portal:
        portal.wait_for(READY)
        wait_until(lambda: value(told(), "permatoken_tasks_total", **words) >= 1)
        assert value(told(), "permatoken_task_duration_seconds_count", task=DELIVER) >= 1
