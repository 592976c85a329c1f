"""What `make bench` asks of the portal is answered as it says there."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler

from benchmarks.verify import contestants, portal
from benchmarks.verify.stall import measure
from config.fast_path.shortcut import shortcut
from config.server.bodies import read_bodies
from tests.config.fast_path.test_verify import kept_connection

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
