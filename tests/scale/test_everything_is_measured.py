"""`make bench-scale` leaves nothing out: every page, call, task and command is measured, or a
sentence says why it is not."""

from collections.abc import Callable, Iterable

from django.conf import settings
from django.core.management import get_commands
from django.urls import resolve

from benchmarks.scale import runs
from benchmarks.scale.asked import changes, pages, singles
from benchmarks.scale.data.seed import Sizes
from tests.every_page.places import is_asked_for
from tests.tenancy.expected_outcomes import EXPECTED
from tests.tenancy.routes import Route, routes

APPS = ("accounts", "apitokens", "notifications", "operations", "sso", "upgrades")
REFUSED = {"405", "404", "401", "in"}


def _names(paths: Iterable[str]) -> set[str]:
    """The routes of these paths; those of the first version of a call are the second's."""
    return {_of_version(resolve(path.partition("?")[0]).view_name) for path in paths}


def _of_version(name: str) -> str:
    return name.replace("-v1", "-v2")


def _missing(wanted: Callable[[Route], bool], measured: set[str], told: Iterable[str]) -> list[str]:
    """The routes that are left out; one that is told of and measured is named, too."""
    left_out = {_of_version(each.name) for each in routes() if wanted(each)} - measured
    return sorted(left_out ^ set(told))


def test_everything_that_answers_get_is_opened() -> None:
    opened = _names(call.path for call in pages.calls(Sizes()))
    exported = {view for _who, _name, view, *_where in runs.EXPORTS}
    answers = lambda route: "GET" in EXPECTED[route.name] and is_asked_for(route)  # noqa: E731
    left_out = {"api-invite-user"}  # 405 to whoever has a token
    told = [*singles.NOT_MEASURED, *exported, *left_out]
    assert _missing(answers, opened, told) == []


def test_every_call_that_changes_something_is_made() -> None:
    made = {
        (_of_version(resolve(change.path(0)).view_name), change.method)
        for change in changes.changes(Sizes(), "a" * 40)
    }
    wanted = {
        (_of_version(route.name), method)
        for route in routes()
        if route.is_call
        for method in EXPECTED[route.name]
        if method not in ("GET", "HEAD")
        and not set(EXPECTED[route.name][method].values()) <= REFUSED
    }
    left_out = {name for name, _method in wanted - made}
    assert left_out == set(changes.NOT_MEASURED)


def test_every_task_is_run() -> None:
    assert set(runs.TASKS_NOT_MEASURED) | {runs.SCAN, runs.TWICE} <= set(
        settings.CELERY_BEAT_SCHEDULE
    )


def test_every_command_is_run() -> None:
    run = {words[0] for words in (*runs.COMMANDS, *runs.last_commands(Sizes()))}
    ours = {name for name, app in get_commands().items() if app in APPS}
    assert ours - run == set(runs.COMMANDS_NOT_MEASURED)
    assert run <= ours
