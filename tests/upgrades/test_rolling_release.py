"""A release takes the place of the one before it, part by part, under load, and gives it back."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from benchmarks.operations.load import PARTS
from benchmarks.operations.mix import PATIENCE, Mix
from benchmarks.operations.open_loop import Load
from config.launcher import servers
from tests import services
from tests.conftest import nginx_path
from tests.environment import forget_own_portal
from tests.examples.test_nginx import running
from tests.launcher.portal import wait_until
from tests.portal import ROOT, free_port

Process = subprocess.Popen[bytes]
EARLIER = "a62e65b3710b56f217c4122155d107e80053a709"
"""A commit with another schema: what is taken until the CHANGELOG names a release."""
TOKENS = 200_000
RATE = 50
"""Requests a second."""
LONGEST = 2.0
"""Seconds for any answer. (But not for the first pages of processes of the release before, which
loads what pages need when the first is asked for.)"""
PROGRAMS = {"verify", "verify, wrong token", "introspect"}
PEOPLE = {"list of tokens (page)"}
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}
http {{
    access_log off; {temporary}
    upstream webs {{
        server 127.0.0.1:{first} max_fails=0;
        server 127.0.0.1:{second} max_fails=0;
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://webs;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_next_upstream error timeout http_502 http_503 non_idempotent;
        }}
    }}
}}
"""


def newest_release(changelog: str) -> str | None:
    """The commit of the newest release, as the CHANGELOG names it: `## [0.1.0] - 2027-01-01
    (1155e6af)`."""
    found = re.search(r"^## \[\d+\.\d+\.\d+\].*\(([0-9a-f]{7,40})\)$", changelog, re.MULTILINE)
    return found[1] if found else None


class Release(NamedTuple):
    """Code in a folder, and the environment that it runs in."""

    folder: Path
    settings: dict[str, str]

    def manage(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.folder,
            env=self.settings,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *command: str) -> Process:
        return subprocess.Popen(
            command, cwd=self.folder, env=self.settings, stdin=subprocess.DEVNULL
        )

    def web(self, port: int) -> Process:
        web = self.start(*servers.web(host="127.0.0.1", port=port, workers=1, threads=16))
        try:
            wait_until(lambda: _is_ready(port))
        except BaseException:
            web.terminate()
            raise
        return web


def _is_ready(port: int) -> bool:
    """True if it answers a request without a token, as every release does."""
    url = f"http://127.0.0.1:{port}/iam/auth/verify"
    command = ["curl", "--silent", "--max-time", "2", "--output", "/dev/null"]
    done = subprocess.run(
        [*command, "--write-out", "%{http_code}", url], capture_output=True, text=True
    )
    return done.stdout == "401"


def _end(parts: dict[int, Process], others: list[Process]) -> None:
    for each in (*parts.values(), *others):
        each.terminate()
        each.wait(60)


@contextmanager
def former_code(folder: Path) -> Iterator[Path]:
    """The code of the release before, in a folder of its own."""
    place = folder / "former"
    commit = newest_release((ROOT / "CHANGELOG.md").read_text()) or EARLIER
    done = subprocess.run(
        ["git", "worktree", "add", "--detach", str(place), commit], cwd=ROOT, capture_output=True
    )
    if done.returncode:
        pytest.skip("this checkout has no history")
    try:
        yield place
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=ROOT, check=True)


def fill(database: str) -> None:
    """Add so many tokens, as copies of one."""
    with psycopg.connect(database, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s",
            ["apitokens_apitoken"],
        )
        names = [name for (name,) in rows]
        values = {
            "id": "500000000 + n",
            "digest": "decode(md5(n::text) || md5((-n)::text), 'hex')",
            "form_key": "NULL",
        }
        chosen = ", ".join(values.get(name, name) for name in names)
        connection.execute(
            f"INSERT INTO apitokens_apitoken ({', '.join(names)}) SELECT {chosen} FROM "
            "(SELECT * FROM apitokens_apitoken WHERE name = 'First steps') AS one, "
            f"generate_series(1, {TOKENS}) AS n"
        )
        connection.execute("ANALYZE apitokens_apitoken")


@contextmanager
def proxy(first: int, second: int, folder: Path) -> Iterator[str]:
    """nginx in front of two webs; yields its address."""
    port = free_port()
    temporary = " ".join(
        f"{each}_temp_path {folder}/{each};"
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        NGINX.format(folder=folder, temporary=temporary, first=first, second=second, port=port)
    )
    with running([nginx_path() or "nginx", "-p", str(folder), "-c", str(file)], port):
        yield f"http://localhost:{port}"


def test_newest_release_that_has_a_commit_is_the_one_before() -> None:
    releases = "## [0.2.0] - 2027-02-01 (1155e6af)\n\n## [0.1.0] - 2027-01-01 (a62e65b3)\n"

    assert newest_release(f"## [Unreleased]\n\n### 0.3.0\n\n{releases}") == "1155e6af"
    assert newest_release(f"## [0.3.0] - 2027-03-01\n\n{releases}") == "1155e6af"
    assert newest_release("## [Unreleased]\n\n- The commit is in (a62e65b3)\n") is None


@pytest.mark.long
@pytest.mark.nginx
@pytest.mark.timeout(1_200)
def test_no_request_fails_while_releases_take_turns(tmp_path: Path) -> None:
    forget_own_portal()
    with ExitStack() as stack:
        settings = {
            **os.environ,
            "DATA_DIR": str(tmp_path / "data"),
            "DATABASE_URL": stack.enter_context(services.postgresql(is_durable=False)),
            "REDIS_URL": stack.enter_context(services.redis()),
            "TRUSTED_PROXIES": "127.0.0.1",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        former = Release(stack.enter_context(former_code(tmp_path)), settings)
        newer = Release(ROOT, settings)
        former.manage("migrate", "--verbosity=0")
        former.manage("collectstatic", "--noinput", "--verbosity=0")
        told = former.manage("seed_demo")
        token = re.search(r"APIKey ([^'\"\s]+)", told)
        verifier = former.manage("issue_verifier", "Load").split()[-1]
        assert token is not None
        fill(settings["DATABASE_URL"])

        first, second = free_port(), free_port()
        parts, others = dict[int, Process](), list[Process]()
        stack.callback(_end, parts, others)
        for port in (first, second):
            parts[port] = former.web(port)
        worker = (*servers.worker(), "--beat", "--schedule", str(tmp_path / "schedule"))
        others.append(former.start(*worker))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        url = stack.enter_context(proxy(first, second, folder))

        mix = Mix(url, token=token[1], verifier=verifier, issuer=0)
        mix.kinds = [
            kind._replace(part=PARTS[kind.name])  # as under `make load`
            for kind in mix.kinds
            if kind.name in PROGRAMS | PEOPLE
        ]
        load = Load(mix, rate=RATE)
        load.start()
        time.sleep(5)
        newer.manage("collectstatic", "--noinput", "--verbosity=0")
        newer.manage("migrate", "--verbosity=0")
        turns = [(former, load.new_phase())]
        for release in (newer, former, newer):
            others.append(release.start(*worker))
            others[-2].send_signal(signal.SIGTERM)
            for port in (first, second):
                parts[port].send_signal(signal.SIGTERM)
                parts[port].wait(60)
                parts[port] = release.web(port)
                time.sleep(3)
            time.sleep(PATIENCE)  # what was asked in this turn is answered in it
            turns.append((release, load.new_phase()))
        load.stop()

        bad, slow = list[str](), list[str]()
        for release, tallies in turns:
            longest = {name: tally.percentile(1.0) for name, tally in tallies.items()}
            print({name: (dict(tallies[name].statuses), round(ms)) for name, ms in longest.items()})  # noqa: T201  # pytest shows it with -rP
            bounded = PROGRAMS if release is former else PROGRAMS | PEOPLE
            bad += [name for name, tally in tallies.items() if tally.bad]
            slow += [name for name in bounded if longest[name] > 1000 * LONGEST]
        assert (bad, slow) == ([], [])
