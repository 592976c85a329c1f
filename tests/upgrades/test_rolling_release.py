"""A release takes the place of the one before it, part by part, under load, and gives it back."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from benchmarks.operations.mix import PATIENCE, Mix
from benchmarks.operations.open_loop import Load
from config.launcher import servers
from tests import services
from tests.conftest import give_up
from tests.deploy.shipped_nginx import proxy
from tests.environment import forget_own_portal
from tests.launcher.portal import wait_until
from tests.portal import ROOT, free_port

Process = subprocess.Popen[bytes]
EARLIER = "a62e65b3710b56f217c4122155d107e80053a709"
"""A commit with another schema: what is taken until the CHANGELOG names a release."""
TOKENS = 200_000
RATE = 50
"""Requests a second."""
LONGEST = 2.0
"""Seconds for any answer. (But not for the first pages and API calls of processes of the release
before, which loads what these need when the first is asked for.)"""
ASKERS = {"verify", "verify, wrong token", "introspect"}
OTHERS = {
    *("list of tokens (API)", "create a token (API)", "delete a token (API, mails)"),
    "list of tokens (page)",
}
ACCOUNT = "Programs"


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


class Parts:
    """Two webs, a worker and a beat: each is started apart, and replaced as the page of the
    installation has it, one after the other."""

    def __init__(self, webs: tuple[int, int], folder: Path) -> None:
        beat = (*servers.beat(), "--schedule", str(folder / "schedule"))
        self._start: dict[str, Callable[[Release], Process]] = {
            **{f"web at {port}": partial(Release.web, port=port) for port in webs},
            "worker": lambda release: release.start(*servers.worker()),
            "beat": lambda release: release.start(*beat),
        }
        self._running = dict[str, Process]()

    def replace_all(self, release: Release) -> None:
        for name, start in self._start.items():
            self.stop(name)
            self._running[name] = start(release)
            time.sleep(3)
            assert self._running[name].poll() is None, f"{name} has ended"

    def stop(self, name: str) -> None:
        if process := self._running.pop(name, None):
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def stop_all(self) -> None:
        for name in list(self._running):
            self.stop(name)


@contextmanager
def former_code(folder: Path) -> Iterator[Path]:
    """The code of the release before, in a folder of its own."""
    place = folder / "former"
    commit = newest_release((ROOT / "CHANGELOG.md").read_text()) or EARLIER
    done = subprocess.run(
        ["git", "worktree", "add", "--detach", str(place), commit], cwd=ROOT, capture_output=True
    )
    if done.returncode:
        give_up("needs the history of the repository; get it with: git fetch --unshallow")
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


def program(release: Release, database: str) -> tuple[str, int]:
    """A token of a program, and its account: not the one that is full of tokens."""
    who = ("--issuer", "admin@example.com", "--role", "Administrators", "--name", "Load")
    release.manage("create_account", ACCOUNT, "--administrator", "admin@example.com")
    token = release.manage("issue_token", "--account", ACCOUNT, "--expires", "never", *who).strip()
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT id FROM accounts_account WHERE name = %s", [ACCOUNT])
        ((account,),) = found.fetchall()
    return token, account


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
        former.manage("seed_demo")
        fill(settings["DATABASE_URL"])
        token, account = program(former, settings["DATABASE_URL"])
        verifier = former.manage("issue_verifier", "Load").split()[-1]

        webs = free_port(), free_port()
        parts = Parts(webs, tmp_path)
        stack.callback(parts.stop_all)
        parts.replace_all(former)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(proxy(*webs, folder))

        first = f"http://localhost:{webs[0]}"  # where its person signs in
        mix = Mix(first, token=token, account=account, verifier=verifier, issuer=None)
        mix.url = f"http://localhost:{port}"
        mix.kinds = [kind for kind in mix.kinds if kind.name in ASKERS | OTHERS]
        load = Load(mix, rate=RATE)
        load.start()
        time.sleep(5)
        newer.manage("collectstatic", "--noinput", "--verbosity=0")
        newer.manage("migrate", "--verbosity=0")
        turns = [(former, load.new_phase())]
        for release in (newer, former, newer):
            parts.replace_all(release)
            time.sleep(PATIENCE)  # what was asked in this turn is answered in it
            turns.append((release, load.new_phase()))
        load.stop()

        bad, slow = list[str](), list[str]()
        for release, tallies in turns:
            longest = {name: tally.percentile(1.0) for name, tally in tallies.items()}
            print({name: (dict(tallies[name].statuses), round(ms)) for name, ms in longest.items()})  # noqa: T201  # pytest shows it with -rP
            bounded = ASKERS if release is former else ASKERS | OTHERS
            bad += [name for name, tally in tallies.items() if tally.bad]
            slow += [name for name in bounded if longest[name] > 1000 * LONGEST]
        assert (bad, slow) == ([], [])
