"""schemathesis tries the served API against its description: all checks, valid and invalid data,
single calls and sequences of them, as four kinds of caller."""

import base64
import json
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.portal import Portal, served_portal

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
PROGRAM = Path(sys.executable).with_name("schemathesis")
EXAMPLES = "20"
"""Per call and phase. All four callers together send some 15,000 requests."""
PASSWORD = "permatoken-demo"
CALLERS = {"administrator": 20, "user": 15, "bearer": 20, "anonymous": 0}
"""How many calls succeed at least once, at the least: else nothing would have been looked at."""

REFUSED = "positive_data_acceptance"
REASONS = [
    # Valid as a document, and refused for what is so at the moment, or for who asks: with 400, as
    # the field's API has it. No schema knows of it.
    (REFUSED, "POST /iam/auth/jwt/login", "No active account found with the given credentials"),
    (REFUSED, "PATCH /iam/users/", "How you sign in depends on what you have set up"),
    (REFUSED, "POST /iam/clients/invite_user", "has already been invited to client"),
    (REFUSED, "POST /iam/clients/invite_user", "This person already belongs to the account"),
    (REFUSED, "POST .*/tokens", "This date is in the past"),
    (REFUSED, "POST .*/tokens", "can't create a token that outlives it"),
    (REFUSED, "POST .*/tokens", "Can't create token with role"),
    (REFUSED, "POST .*/tokens", "There is no such service account that you can issue"),
    (REFUSED, "(POST|PATCH) .*/tokens", "There is no scope"),
    (REFUSED, "POST .*/rotate", "can't rotate a token that outlives it"),
    (REFUSED, "POST .*/rotate", "has been rotated in the meantime"),
    (REFUSED, "POST .*/rotate", "This API token has expired"),
    (REFUSED, "POST .*/hand_over", "Choose a user or a service account of the account"),
    (REFUSED, "POST .*/look_up", "This is only the ID"),
    (REFUSED, "POST .*/look_up", "This isn't a complete API token"),
    (REFUSED, "(POST|PATCH) .*/service_accounts", "Choose members of the account"),
    (REFUSED, "POST .*/services", "The account already has a service with this code"),
    # What can be seen, and what makes a name or a network, is more than a pattern says.
    (REFUSED, "(POST|PATCH) .*/tokens", "is not an IP address or network"),
    (REFUSED, "(POST|PATCH) .*/tokens", "is not the beginning of a network"),
    (REFUSED, "(POST|PATCH) .*/tokens", "No one comes from"),
    (REFUSED, "POST .*/tokens", "Enter at least one visible character"),
    (REFUSED, "(POST|PUT) .*/services", "Enter at least one visible character"),
    (REFUSED, "(POST|PUT) .*/services", "Give each scope a code of its own"),
    (REFUSED, "(PATCH|POST) /iam/", "Enter a name"),
]
"""The check, the call, and what the answer says."""


class Finding(NamedTuple):
    check: str
    call: str
    answer: str

    @property
    def has_a_reason(self) -> bool:
        return any(
            self.check == check and re.match(call, self.call) and text in self.answer
            for check, call, text in REASONS
        )


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    with served_portal(
        tmp_path / "data", REFUSAL_RATE="0", INVITATIONS_PER_DAY="1000000"
    ) as running:
        running.shell.run(
            "from accounts.models import Account; Account.objects.update(token_limit=30_000)"
        )
        yield running


def authorization(portal: Portal, caller: str) -> str | None:
    match caller:
        case "administrator":
            return f"APIKey {issue(portal, 'admin@example.com', 'Administrators')}"
        case "user":
            return f"APIKey {issue(portal, 'user@example.com', 'Users')}"
        case "bearer":
            return f"Bearer {sign_in(portal)}"
        case _:
            return None


def issue(portal: Portal, issuer: str, role: str) -> str:
    return portal.shell.command(
        *("issue_token", "--account", "1", "--issuer", issuer),
        *("--role", role, "--name", "Trial"),
    ).strip()


def sign_in(portal: Portal) -> str:
    body = json.dumps({"username": "admin@example.com", "password": PASSWORD})
    request = urllib.request.Request(
        f"{portal.url}/iam/auth/jwt/login", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["access"])


@pytest.mark.parametrize("caller", CALLERS)
def test_every_answer_is_as_described(portal: Portal, tmp_path: Path, caller: str) -> None:
    report = tmp_path / "report.ndjson"
    shown = authorization(portal, caller)
    done = subprocess.run(
        [
            *(str(PROGRAM), "run", f"{portal.url}/iam/openapi.json", "--checks", "all"),
            *("--continue-on-failure", "--no-color", "--no-shrink", "--seed", "1"),
            *("--max-examples", EXAMPLES, "--report-ndjson-path", str(report)),
            *("--request-timeout", "120"),
            *(("-H", f"Authorization: {shown}") if shown else ()),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert report.exists(), done.stdout + done.stderr

    findings, succeeded = read(report)

    unexplained = Counter(each for each in findings if not each.has_a_reason)
    assert not unexplained, "\n".join(f"{n} × {each}" for each, n in unexplained.most_common(20))
    assert len(succeeded) >= CALLERS[caller], succeeded


def read(report: Path) -> tuple[list[Finding], set[str]]:
    """Every failed check of every case, and the calls that succeeded."""
    findings, succeeded = list[Finding](), set[str]()
    for line in report.open():
        event = json.loads(line)
        if (unanswered := event.get("NonFatalError")) is not None:
            findings.append(Finding("answer", unanswered["label"], json.dumps(unanswered["value"])))
        scenario = event.get("ScenarioFinished")
        if scenario is None:
            continue
        recorder = scenario["recorder"]
        for case, checks in recorder.get("checks", {}).items():
            asked = recorder.get("interactions", {}).get(case)
            call = f"{asked['request']['method']} {_path(asked)}" if asked else recorder["label"]
            for check in checks:
                if check["status"] == "failure":
                    findings.append(Finding(check["name"], call, _answer(asked, check)))
        for asked in recorder.get("interactions", {}).values():
            response = asked.get("response")
            if response and response["status_code"] < 300:
                case = re.sub(r"\d+", "{}", _path(asked))
                succeeded.add(f"{asked['request']['method']} {case}")
    return findings, succeeded


def _path(asked: dict[str, Any]) -> str:
    path: str = re.sub(r"^http://[^/]+", "", asked["request"]["uri"]).partition("?")[0]
    return path


def _answer(asked: dict[str, Any] | None, check: dict[str, Any]) -> str:
    """What was answered; the words of the check, if nothing was."""
    content = ((asked or {}).get("response") or {}).get("content")
    if content:
        return base64.b64decode(content["$base64"]).decode(errors="replace")[:300]
    return json.dumps(check.get("failure_info"))[:300]
