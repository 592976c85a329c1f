"""Files that are sent while they are made."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from django.utils import translation

from accounts.http.downloads import csv_download

HEADING, ROW = '"id"\r\n', '"1"\r\n'
SENTENCE = '"This file is incomplete: something went wrong. Download it again."\r\n'


def breaking_off(after: int) -> Iterator[str]:
    yield HEADING
    for _number in range(after):
        yield ROW
    raise LookupError("The database is gone.")


def sent(lines: Iterator[str], now: datetime) -> str:
    return b"".join(csv_download(lines, name="list", at=now)).decode()


def test_file_that_breaks_off_says_in_its_last_line_that_it_is_incomplete(
    now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    assert sent(breaking_off(after=3), now) == HEADING + 3 * ROW + SENTENCE
    assert "The database is gone." in caplog.text


def test_whole_file_has_no_such_line(now: datetime) -> None:
    assert sent(iter([HEADING, ROW, ROW]), now) == HEADING + 2 * ROW
    assert sent(iter([HEADING]), now) == HEADING


def test_fault_before_the_first_row_is_an_ordinary_fault(now: datetime) -> None:
    with pytest.raises(LookupError):
        sent(breaking_off(after=0), now)


def test_sentence_is_in_the_language_of_the_reader(now: datetime) -> None:
    with translation.override("de"):
        answer = csv_download(breaking_off(after=3), name="list", at=now)
    assert "unvollständig" in b"".join(answer).decode()
