"""Rows by their ids: all that are asked for, each read once, and not more kept than promised."""

import os
import subprocess
import sys
from typing import Any

import pytest

from accounts import rows_by_id
from accounts.models import User
from accounts.rows_by_id import RowsById
from tests.factories import UserFactory
from tests.portal import ROOT

HIGHEST = 2**63 - 1


@pytest.mark.both
def test_among_finds_the_rows_of_thousands_of_numbers(db: None) -> None:
    people: list[Any] = UserFactory.create_batch(3)
    ids = {people[0].pk, people[2].pk, 0, -1, HIGHEST, *range(1, 5_000)}

    found = User.objects.filter(pk__among=ids)

    assert set(found) == {people[0], people[2]}
    assert not User.objects.filter(pk__among=[])


@pytest.mark.both
def test_among_takes_the_numbers_of_a_query(db: None) -> None:
    first, second, _third = UserFactory.create_batch(3)
    wanted = User.objects.filter(email__in=[first.email, second.email]).order_by("email")

    assert set(User.objects.filter(pk__among=wanted.values("pk"))) == {first, second}
    assert not User.objects.filter(pk__among=User.objects.none().values("pk"))


def test_row_is_read_once_while_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_by_id, "MOST_KEPT", 4)
    asked: list[set[int]] = []

    def read(ids: set[int]) -> dict[int, str]:
        asked.append(ids)
        return {each: str(each) for each in ids if each != 404}

    rows = RowsById(read)
    assert rows.of([1, 2, None, 2]) == {1: "1", 2: "2"}
    assert rows.of([2, 1, 3]) == {1: "1", 2: "2", 3: "3"}
    assert rows.of([None]) == {1: "1", 2: "2", 3: "3"}
    assert 404 not in rows.of([404])
    assert rows.of([3, 4, 5]) == {3: "3", 4: "4", 5: "5"}  # more than are kept: it begins anew
    assert rows.of(range(10, 20)).keys() == set(range(10, 20))  # more than are kept, at once
    assert asked == [{1, 2}, {3}, {404}, {3, 4, 5}, set(range(10, 20))]


def test_lookup_is_known_to_every_process_that_has_the_apps() -> None:
    """Whatever it imports: a worker opens no page."""
    code = "import django; django.setup(); from accounts.models import User; "
    code += "print(User.objects.filter(pk__among=[1]).query is not None)"
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=settings, capture_output=True, text=True
    )
    assert done.stdout == "True\n", done.stderr
