"""Texts to copy: what is pasted works. Programs are run, and what they send is looked at."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from accounts.models import Membership
from apitokens.pages.samples import Sample, copies, samples
from tests.conftest import Issue, give_up

TOKEN = f"123456789${'0a' * 36}"
URL = "http://localhost:8000/iam/clients/1/tokens"
HEADER = f"APIKey {TOKEN}"
PROGRAMS = {
    "python": (sys.executable, "-c"),
    "javascript": ("node", "--input-type=module", "--eval"),
    "curl": ("sh", "-c"),
}
"""What runs a text."""
NEEDED = {"javascript": "node", "curl": "curl"}


class Api(ThreadingHTTPServer):
    """Answers ["yes"] to all, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = list[tuple[str, str | None]]()
        self.url = f"http://127.0.0.1:{self.server_port}"
        Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(["yes"]).encode())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as serving:
        yield serving
        serving.shutdown()


def sample(key: str, base_url: str = "http://localhost:8000") -> Sample:
    return named(key, samples(TOKEN, account_id=1, base_url=base_url))


def named(key: str, made: list[Sample]) -> Sample:
    return next(each for each in made if each.key == key)


def said_by(key: str, text: str, **environment: str) -> str:
    """What the text says when it is run, with PATH and these in its environment."""
    needed = NEEDED.get(key, sys.executable)
    if shutil.which(needed) is None:
        give_up(f"needs {needed}; get it with: apt-get install {needed}")
    path = {"PATH": str(Path(str(shutil.which(needed))).parent) + ":/usr/bin:/bin"}
    done = subprocess.run(
        [*PROGRAMS[key], text], env=path | environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_shells_take_the_line_whole() -> None:
    assert shlex.split(sample("curl").text) == ["curl", "-H", f"Authorization: {HEADER}", URL]
    assert shlex.split(sample("env").text) == [f"API_TOKEN={TOKEN}"]


def test_shells_read_the_file_with_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(sample("env").text + "\n")
    read = f"set -a; . {tmp_path}/.env; set +a; printenv API_TOKEN"
    assert said_by("curl", read) == f"{TOKEN}\n"


def test_curl_sends_the_token(api: Api) -> None:
    assert json.loads(said_by("curl", sample("curl", api.url).text)) == ["yes"]
    assert api.asked == [("/iam/clients/1/tokens", HEADER)]


@pytest.mark.parametrize(
    ("key", "printed"), [("python", "['yes']\n"), ("javascript", "[ 'yes' ]\n")]
)
def test_programs_send_the_token_from_the_environment(api: Api, key: str, printed: str) -> None:
    assert said_by(key, sample(key, api.url).text, API_TOKEN=TOKEN) == printed
    assert api.asked == [("/iam/clients/1/tokens", HEADER)]


@pytest.mark.parametrize("key", ["python", "javascript"])
def test_programs_of_a_token_that_may_not_read_tokens_ask_whether_it_is_good(
    api: Api, key: str
) -> None:
    made = samples(TOKEN, account_id=1, base_url=api.url, scopes=["cdn:purge"])
    assert said_by(key, named(key, made).text, API_TOKEN=TOKEN) == "200\n"
    assert api.asked == [("/iam/auth/verify", HEADER)]


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["curl", "python", "javascript"])
def test_copies_ask_for_the_token_itself(
    api: Api, administrator: Membership, issue: Issue, key: str
) -> None:
    token = issue(administrator).token
    text = named(key, copies(token, base_url=api.url)).text
    assert "yes" in said_by(key, text, API_TOKEN=TOKEN)
    assert api.asked == [(f"/iam/clients/{token.account_id}/tokens/{token.pk}", HEADER)]


@pytest.mark.parametrize("key", ["python", "javascript"])
def test_source_code_has_no_token_in_it(key: str) -> None:
    assert not sample(key).is_secret
    assert TOKEN not in sample(key).text
    assert URL in sample(key).text


def test_terraform_has_the_token_apart_from_the_code() -> None:
    values, code = sample("terraform").text.split("# main.tf")
    assert f'api_token = "{TOKEN}"' in values
    assert TOKEN not in code


def test_terraform_reads_both_files(tmp_path: Path) -> None:
    if shutil.which("terraform") is None:
        pytest.skip(
            "needs terraform, which neither Debian nor PyPI nor npm has: not even CI gets it"
        )
    values, code = sample("terraform").text.split("# main.tf")
    (tmp_path / "terraform.tfvars").write_text(f"{values.strip()}\n")
    (tmp_path / "main.tf").write_text(f"{code.strip()}\n")
    alone = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CHECKPOINT_DISABLE": "1", "HOME": "/"}

    def terraform(*words: str, typed: str = "") -> str:
        done = subprocess.run(
            ["terraform", *words],
            cwd=tmp_path,
            env=alone,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    terraform("fmt", "-check", "-diff")
    variable, _data = code.split('data "http"')
    (tmp_path / "main.tf").write_text(variable)  # alone: the provider would have to be fetched
    assert terraform("console", typed="nonsensitive(var.api_token)\n") == f'"{TOKEN}"\n'
