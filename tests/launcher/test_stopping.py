"""However the portal ends, all of it ends, and says no more than a sentence about it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.launcher.portal import READY, ROOT, RunningPortal, have_ended, started, wait_until

EVERYBODY = 5
"""The web server and its two workers; the worker and its beat."""


@pytest.mark.parametrize(
    "how",
    [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.long)],
)
def test_one_signal_stops_everything_quietly(
    how: signal.Signals, used_data_dir: Path, port: int
) -> None:
    """Also while a browser keeps its connection."""
    with started(used_data_dir, port=port) as portal:
        portal.wait_for(READY)
        wait_until(lambda: len(portal.family()) == EVERYBODY)
        family = portal.family()
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert browser.recv(4096).startswith(b"HTTP/1.1 200")

            assert portal.stop(how) == 0

    assert have_ended(family)
    assert "Traceback" not in portal.output
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_stop_during_the_start_is_quiet_too(data_dir: Path, port: int) -> None:
    with started(data_dir, port=port) as portal:
        portal.wait_for("Preparing the database…")

        assert portal.stop() == 0

    assert "Traceback" not in portal.output
    assert READY not in portal.output


def test_worker_that_dies_is_replaced_and_all_stop_when_the_web_server_dies(
    used_data_dir: Path, port: int
) -> None:
    with started(used_data_dir, port=port) as portal:
        portal.wait_for(READY)
        worker = portal.child("celery")
        worker.kill()
        portal.wait_for("The worker ended by itself (exit code -9). It is being restarted.")
        wait_until(lambda: has_another(portal, "celery", worker))
        family = portal.family()

        portal.child("granian").kill()

        assert portal.process.wait(60) == 1
    assert "The web server ended by itself (exit code -9)." in portal.output
    assert have_ended(family)


def has_another(portal: RunningPortal, word: str, gone: psutil.Process) -> bool:
    """True if there is a child other than that with this word in its command."""
    children = psutil.Process(portal.process.pid).children()
    return any(word in each.cmdline() for each in children if each != gone)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of such a death")
def test_killed_portal_leaves_no_orphans(used_data_dir: Path, port: int) -> None:
    with started(used_data_dir, port=port) as portal:
        portal.wait_for(READY)
        family = portal.family()

        portal.process.kill()

        wait_until(lambda: have_ended(family))


HANG_UP = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN if {is_ignored} else signal.SIG_DFL)
from config.launcher import __main__ as launcher
launcher.ShutdownFlag()
os.kill(os.getpid(), signal.SIGHUP)
print("still there")
"""


@pytest.mark.parametrize(("is_ignored", "said"), [(False, ""), (True, "still there\n")])
def test_end_of_the_terminal_matters_but_not_after_nohup(is_ignored: bool, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANG_UP.format(is_ignored=is_ignored)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


LOST = """
import os, signal
from config.launcher import __main__ as launcher

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        return None  # what a signal raises here is lost

def prepare(_host):
    Finalized()
    return ""

config = launcher.ServerConfig("127.0.0.1", 1, launcher.Path({folder!r}), 1, 1)
launcher._read_config = lambda: config
launcher._prepare = prepare
launcher._serve = lambda *_config, **_facts: print("started all the same")
raise SystemExit(launcher.main())
"""


def test_stop_in_a_finalizer_is_heard_and_quiet(data_dir: Path) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", LOST.format(folder=str(data_dir))],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
