"""The commands of the web server, the worker and beat."""

import sys

NO_WARNING_OF_ROOT = "ignore:You're running the worker with superuser privileges"
"""Celery warns root of messages in pickle. Ours are JSON. (For PYTHONWARNINGS.)"""
TASKS = 2
"""How many a worker does at a time, on machines of any size."""
ENDED_WITHIN = 20
"""Seconds that requests have to end: the longest statement of the database has as many."""

_CELERY = (sys.executable, "-m", "celery", "--quiet", "-A", "config")


def web(*, host: str, port: int, workers: int, threads: int) -> list[str]:
    """The web server. The application comes last."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws"),
        *("--host", host, "--port", str(port)),
        *("--workers", str(workers), "--blocking-threads", str(threads)),
        # Without "error" granian warns of more threads than processors. They serve requests
        # that wait: for the database, a password's hash, or a slow client.
        *("--respawn-failed-workers", "--log-level", "error"),
        # A worker that is told to stop while it starts does not hear it.
        *("--workers-kill-timeout", str(ENDED_WITHIN)),
        "config.wsgi:application",
    ]


def worker() -> list[str]:
    """A worker. Several on one machine want a `--hostname` each."""
    return [
        *(*_CELERY, "worker", "--concurrency", str(TASKS), "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def beat() -> list[str]:
    """A beat. Several on one machine want a `--schedule` each."""
    return [*_CELERY, "beat", "--loglevel", "WARNING"]
