"""What `make bench` asks of the portal is answered as it says there."""

import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler

from benchmarks.verify import contestants, portal
from benchmarks.verify.stall import _environ, measure
from benchmarks.verify.without_counts import uncounted
from config.fast_path.shortcut import _way_by_path, shortcut
from config.server.bodies import read_bodies
from tests.config.fast_path.test_verify import kept_connection, say

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both,
    pytest.mark.usefixtures("memory", kept_connection.__name__),
]


A_NOTE = 10
"""Calls. When and from where an old secret was used is noted beside the use of its token."""


@pytest.fixture
def cases() -> dict[str, contestants.Contestant]:
    planted = portal.plant(portal.ON_THE_USER)
    assert planted["old"] != planted["rotated"]
    made = contestants.portal({**planted, "unseen": [planted["good"]]})
    return {each.name: each for each in made}


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """How often each function of Python is called."""
    calls = Counter[str]()

    def note(frame: FrameType, event: str, _fact: Any) -> None:
        if event == "call":
            calls[frame.f_code.co_qualname] += 1

    sys.setprofile(note)
    yield calls
    sys.setprofile(None)


def test_every_case_of_the_portal_has_the_status_that_is_measured(
    cases: dict[str, contestants.Contestant],
) -> None:
    application = read_bodies(shortcut(WSGIHandler()))
    for case in cases.values():
        for _time in range(3):  # at last from memory
            found = measure(application, requests=case.requests, seconds=1, is_once=True)
            assert found["statuses"] == {case.status: 1}, case.name


def test_rotated_token_takes_the_steps_of_any_and_its_old_secret_one_note_more(
    cases: dict[str, contestants.Contestant],
) -> None:
    application, steps = read_bodies(shortcut(WSGIHandler())), {}
    for name in (contestants.HOT, contestants.ROTATED, contestants.OLD_SECRET):
        for _time in range(3):
            with counted_calls() as steps[name]:
                measure(application, requests=cases[name].requests, seconds=1, is_once=True)
    assert steps[contestants.ROTATED] == steps[contestants.HOT]
    more = steps[contestants.OLD_SECRET] - steps[contestants.HOT]
    assert more.total() <= A_NOTE, more
    assert steps[contestants.HOT].total() < 60


def test_uncounted_answers_alike_and_counts_nothing(
    cases: dict[str, contestants.Contestant], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = deque[float]()
    ways = {path: way._replace(note_good=noted.append) for path, way in _way_by_path.items()}
    monkeypatch.setattr("config.fast_path.shortcut._way_by_path", ways)
    environ = _environ(cases[contestants.UNCOUNTED].requests[0])
    for _time in range(3):  # at last from memory
        say(shortcut(WSGIHandler()), dict(environ))
    assert len(noted) > 0
    counted, noted_before = say(shortcut(WSGIHandler()), dict(environ)), len(noted)

    assert say(uncounted(WSGIHandler()), dict(environ)) == counted
    assert len(noted) == noted_before
