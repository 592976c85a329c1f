"""What a newcomer finds after the first start, in the embedded and in the scaled shape."""

import json
import re
from pathlib import Path

import pytest

from tests.launcher.portal import (
    READY,
    RunningPortal,
    environment_of,
    send,
    started,
    wait_until,
)
from tests.portal import Shell, shell

TOLD = ["admin@example.com", "engineer@example.com", "purge@example.com"]
"""Whose tokens of the demo expire soon."""


@pytest.mark.both
def test_newcomer_finds_everything_ready(
    portal: RunningPortal, servers: dict[str, str], used_data_dir: Path, port: int
) -> None:
    """One start on nothing, for all that is there to see: it costs more than any look at it."""
    _is_well(portal)
    _told_address_and_sign_ins(portal)
    _curl_line_works_as_it_is_printed(portal)
    _sign_in_page_comes_with_its_style(portal)
    place = environment_of(portal.data_dir, port=portal.port, **servers)
    with shell({**place, "DJANGO_SETTINGS_MODULE": "config.settings"}) as beside:
        _worker_does_what_is_due_when_it_starts(beside)
        _notices_of_the_demo_arrive_by_mail_and_in_inboxes(portal, beside)
    if not servers:
        _only_the_owner_can_read_what_the_portal_writes(portal)
        _second_portal_is_kept_from_the_same_data(portal, port)
        _second_portal_runs_beside_it_and_its_notices_wait_for_no_interval(
            portal, used_data_dir, port
        )


def _is_well(portal: RunningPortal) -> None:
    wait_until(lambda: portal.get("/healthz")[0] == 200)  # one that is asked late says so
    status, body = portal.get("/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")


def _told_address_and_sign_ins(portal: RunningPortal) -> None:
    """The address only when the portal answers."""
    address = f"Permatoken is ready: http://localhost:{portal.port}"
    assert address in portal.output
    assert "password permatoken-demo" in portal.output
    assert "admin@example.com " in portal.output

    lines = portal.output.splitlines()
    assert lines.index("Starting the web server and the worker…") < lines.index(address)


def _curl_line_works_as_it_is_printed(portal: RunningPortal) -> None:
    status, body = send(portal.curl_line)

    assert status == 200
    assert "First steps" in [token["name"] for token in json.loads(body)]


def _sign_in_page_comes_with_its_style(portal: RunningPortal) -> None:
    status, page = portal.get("/sign-in/")
    sheet = re.search(r'rel="stylesheet" href="([^"]+)"', page.decode())

    assert status == 200
    assert sheet is not None
    assert portal.get(sheet[1])[0] == 200


def _worker_does_what_is_due_when_it_starts(beside: Shell) -> None:
    """The demo has digests that are to be forgotten; that leaves an audit event."""
    ask = (
        "from accounts.models import AuditEvent; "
        "print(AuditEvent.objects.filter(kind='token.digests_purged').count())"
    )
    wait_until(lambda: beside.run(ask) == "1\n")


def _notices_of_the_demo_arrive_by_mail_and_in_inboxes(
    portal: RunningPortal, beside: Shell
) -> None:
    wait_until(lambda: _recipients(portal) == TOLD)

    notices = beside.run(
        "from notifications.models import Notice; "
        "print(*sorted(notice.user.email for notice in Notice.objects.all()))"
    )
    assert notices.split() == TOLD


def _only_the_owner_can_read_what_the_portal_writes(portal: RunningPortal) -> None:
    """All but the static files, which everybody is sent anyway."""
    written = [portal.data_dir, *portal.data_dir.rglob("*")]
    private = [path for path in written if portal.data_dir / "static" not in path.parents]

    assert portal.data_dir / "permatoken.sqlite3" in private
    assert [path for path in private if path.stat().st_mode & 0o077] == []


def _second_portal_runs_beside_it_and_its_notices_wait_for_no_interval(
    portal: RunningPortal, data_dir: Path, port: int
) -> None:
    with started(data_dir, port=port, NOTICES_EVERY_SECONDS="3600") as second:
        second.wait_for(READY)
        for each in (portal, second):
            wait_until(lambda each=each: each.get("/healthz")[0] == 200)  # type: ignore[misc]  # a lambda with a default

        wait_until(lambda: _recipients(second) == TOLD)
        assert second.process.poll() is None


def _second_portal_is_kept_from_the_same_data(portal: RunningPortal, port: int) -> None:
    with started(portal.data_dir, port=port) as second:
        assert second.process.wait(60) == 1

    assert second.output.startswith(f"Another portal runs on the data in {portal.data_dir}.")
    wait_until(lambda: portal.get("/healthz")[0] == 200)


def _recipients(portal: RunningPortal) -> list[str]:
    """Whom the mails are for that lie in the portal's folder."""
    mails = (file.read_text() for file in (portal.data_dir / "mail").glob("*.log"))
    return sorted(to for mail in mails for to in re.findall("^To: (.*)$", mail, re.MULTILINE))
