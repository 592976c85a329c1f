"""By hand: sending what is due, looking ahead, and proving the mail settings."""

import io
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts.models import Membership
from apitokens.expiry import scan as expiry
from notifications.models import Mail, Notice, State
from tests.conftest import Issue
from tests.mailserver import DROP, HANG, MailServer, Mood

DAY = timedelta(days=1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*command: object) -> list[str]:
    out = io.StringIO()
    call_command(*map(str, command), stdout=out)
    return out.getvalue().splitlines()


# --- send_expiry_notices ---


@pytest.mark.django_db
def test_command_tells_people_and_says_whom(
    server: MailServer, user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user, at=now - 30 * DAY, expires_at=now + 6 * DAY, name="Backup").token
    lines = run("send_expiry_notices")
    of_user = f"{user.user.email} (Example Inc.), by Email and Portal: {token.pk} Backup"
    assert of_user in lines
    assert len(lines) == 3
    assert lines[-1].startswith("Tokens: 1. New emails: 2. Sent: 2,")
    assert sorted(server.recipients) == sorted([user.user.email, administrator.user.email])
    assert Notice.objects.count() == 2
    assert run("send_expiry_notices")[0].startswith("Tokens: 0. New emails: 0. Sent: 0,")


@pytest.mark.django_db
def test_account_that_fails_is_told_of_and_holds_up_no_other(
    server: MailServer,
    user: Membership,
    stranger: Membership,
    issue: Issue,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for member in (user, stranger):
        issue(member, at=now - 30 * DAY, expires_at=now + 6 * DAY)
    tell = expiry._tell

    def fail_for_one(digests: list[expiry.NotificationDigest], *more: Any) -> None:
        if any(digest.member == user for digest in digests):
            raise ValueError("This one fails.")
        tell(digests, *more)

    monkeypatch.setattr(expiry, "_tell", fail_for_one)
    with pytest.raises(CommandError, match="Accounts: 1 failed"):
        run("send_expiry_notices")
    assert server.recipients == [stranger.user.email]


@pytest.mark.django_db
def test_dry_run_shows_the_same_and_tells_nobody(
    server: MailServer, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, at=now - 30 * DAY, expires_at=now + DAY)
    shown = run("send_expiry_notices", "--dry-run")
    assert shown[-1] == "Dry run: 1 would be notified."
    assert not Mail.objects.exists()
    assert not Notice.objects.exists()
    assert run("send_expiry_notices")[0] == shown[0]


@pytest.mark.django_db
def test_command_looks_ahead(
    server: MailServer, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, expires_at=now + 20 * DAY)
    ahead = f"--at={(now + 15 * DAY).isoformat()}"
    assert run("send_expiry_notices", "--dry-run") == ["Dry run: 0 would be notified."]
    assert run("send_expiry_notices", "--dry-run", ahead)[-1] == "Dry run: 1 would be notified."
    assert "Sent: 1," in run("send_expiry_notices", ahead)[-1]
    (taken,) = server.keeper.taken
    assert "19 days" in taken.message["Subject"]
    body = taken.message.get_body(("plain",))
    assert body is not None
    assert "Nightly backup" in body.get_content()


@pytest.mark.django_db
def test_looking_ahead_says_what_it_leaves_out(
    server: MailServer, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, at=now - 30 * DAY, expires_at=now + 3 * DAY)
    issue(user, at=now - 30 * DAY, expires_at=now + 9 * DAY)
    ahead = f"--at={(now + 5 * DAY).isoformat()}"
    for command in (["--dry-run", ahead], [ahead]):
        said = run("send_expiry_notices", *command)[0]
        assert re.match(r"Left out, because they expire before .* UTC: 1 due tokens\. ", said)
    assert run("send_expiry_notices")[-1].startswith("Tokens: 1. New emails: 1. Sent: 1,")


@pytest.mark.django_db
@pytest.mark.parametrize("words", [["--dry-run"], []])
def test_terminal_shows_how_far_it_is_while_people_are_listed_into_a_file(
    server: MailServer,
    user: Membership,
    stranger: Membership,
    issue: Issue,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    for member in (user, stranger):
        issue(member, at=now - 30 * DAY, expires_at=now + 6 * DAY)
    monkeypatch.setattr(expiry, "TOKENS_AT_ONCE", 1)
    monkeypatch.setattr("accounts.management.progress.EVERY_SECONDS", 0)
    terminal = Terminal()

    call_command("send_expiry_notices", *words, stdout=io.StringIO(), stderr=terminal)

    shown = terminal.getvalue()
    assert re.search(r"\rAPI tokens looked at: 1 of 2 \(50%\), about \d+ s left", shown)
    assert "API tokens looked at: 2 of 2 (100%)" in shown
    assert shown.endswith("\r")


@pytest.mark.django_db
def test_dry_run_counts_the_mails_that_wait_already(
    server: MailServer, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, at=now - 30 * DAY, expires_at=now + DAY)
    expiry.scan(at=now)
    said = "Dry run: 0 would be notified. Pending emails that would be sent: 1."
    assert run("send_expiry_notices", "--dry-run") == [said]
    assert Mail.objects.get().state == State.PENDING


@pytest.mark.parametrize("text", ["tomorrow", "2027-13-01T00:00Z", "2027-01-01T25:00Z"])
def test_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="must be a time such as"):
        run("send_expiry_notices", "--dry-run", f"--at={text}")


# --- send_test_email ---


def test_test_mail_arrives(server: MailServer) -> None:
    assert run("send_test_email", "ada@example.com") == [
        f"The mail server localhost:{server.port} accepted an email to ada@example.com."
    ]
    assert server.recipients == ["ada@example.com"]


def test_test_mail_can_go_to_a_file(settings: Settings, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    assert run("send_test_email", "ada@example.com") == [
        f"The folder {tmp_path} accepted an email to ada@example.com."
    ]
    (written,) = tmp_path.iterdir()
    assert "To: ada@example.com" in written.read_text()


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        (Mood(greeting=DROP), "No connection to localhost"),
        (Mood(mail="530 Authentication required"), "530 Authentication required"),
        (Mood(rcpt="554 Relaying denied"), "554 Relaying denied"),
        (Mood(data=HANG), "The mail server closed the connection"),
        (Mood(body="552 Too big"), "552 Too big"),
        (Mood(body=DROP), "The email may or may not have arrived. The connection ended before"),
    ],
    ids=str,
)
def test_failure_is_told_in_one_sentence(server: MailServer, mood: Mood, reason: str) -> None:
    server.keeper.mood = mood
    with pytest.raises(CommandError, match=re.escape(reason)) as caught:
        run("send_test_email", "ada@example.com")
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["ada", "ada@example.com\nBcc: eve@example.com", ""])
def test_what_is_no_address_is_refused(server: MailServer, address: str) -> None:
    with pytest.raises(CommandError, match="is not an email address"):
        run("send_test_email", address)
    assert server.keeper.commands == []
