"""Those who wait for the database leave threads to all others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from accounts.throttling.threads import SHARES, shares
from config.database import places
from config.database.places import DatabasePlaces, NoPlace


@pytest.fixture
def process() -> DatabasePlaces:
    return DatabasePlaces()


@pytest.fixture
def full(process: DatabasePlaces) -> Iterator[ExitStack]:
    """As many wait patiently as may."""
    with ExitStack() as waiting:
        for _each in range(SHARES.patient):
            assert waiting.enter_context(process.take(is_patient=True)).may_wait
        yield waiting


def may_wait(process: DatabasePlaces) -> bool:
    with process.take(is_patient=True) as place:
        return place.may_wait


def test_nobody_joins_patient_ones_who_do_not_get_on(
    process: DatabasePlaces, full: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "STUCK_AFTER", 0)
    assert not may_wait(process)
    full.close()
    assert may_wait(process)


def test_the_next_waits_for_a_turn_while_they_get_on(
    process: DatabasePlaces, full: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "STUCK_AFTER", 60)
    with ThreadPoolExecutor(1) as another:
        turn = another.submit(may_wait, process)
        full.close()
        assert turn.result(timeout=30)


def test_impatient_ones_who_get_on_do_not_make_others_wait_for_the_patient(
    process: DatabasePlaces, full: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.patient._moved_at -= places.STUCK_AFTER  # they have been stuck for so long
    with process.take(is_patient=False) as brief:
        brief.move()
        assert not may_wait(process)


def test_some_threads_never_wait_for_the_database(
    process: DatabasePlaces, full: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "STUCK_AFTER", 0)
    with ExitStack() as others:
        for _each in range(SHARES.with_database - SHARES.patient):
            others.enter_context(process.take(is_patient=False))
        for is_patient in (True, False):
            with pytest.raises(NoPlace), process.take(is_patient=is_patient):
                pass
    with process.take(is_patient=False):
        pass


def test_places_are_shares_of_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "STUCK_AFTER", 0)
    process = DatabasePlaces(shares(4))
    with ExitStack() as inside:
        may_wait = [inside.enter_context(process.take(is_patient=True)).may_wait for _ in range(3)]
        with pytest.raises(NoPlace), process.take(is_patient=False):
            pass
    assert may_wait == [True, True, False]
