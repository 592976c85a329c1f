"""Every reply that a mail server can give has one meaning."""

from collections.abc import Container, Iterable
from itertools import product
from typing import NamedTuple

import pytest

from notifications.email.verdicts import Stage, Verdict, enhanced_code_of, verdict_on

CODES = range(-1, 1_000)
"""All that can stand in three digits, and what smtplib calls a reply without any."""
ADDRESS = [f"5.1.{detail}" for detail in range(11) if detail not in (7, 8)]
MAILBOX = [f"5.2.{detail}" for detail in range(5)]
OTHERS = ["5.1.7", "5.1.8", "5.0.0", "5.3.4", "5.4.1", "5.5.1", "5.7.1", "5.10.1", "5.20.1"]
ENHANCED = [None, *ADDRESS, *MAILBOX, *OTHERS]
BEFORE_BODY = [Stage.SENDER, Stage.RECIPIENT, Stage.DATA]
AFTER_SENDER = [Stage.RECIPIENT, Stage.DATA, Stage.BODY]
NO_SUCH_RECIPIENT = {550, 551, 553}


class Row(NamedTuple):
    """A part of the table: which replies, and what they mean."""

    stages: Iterable[Stage]
    codes: Container[int]
    enhanced: Container[str | None]
    has_taken: Container[bool]
    verdict: Verdict


EITHER = [True, False]
REFUSALS, FOR_NOW, FOR_GOOD = range(400, 600), set(range(400, 500)) - {421}, range(500, 600)
NO_REFUSALS = set(CODES) - set(REFUSALS)
TABLE = [
    Row([Stage.SENDER], [250], ENHANCED, EITHER, Verdict.ACCEPTED),
    Row([Stage.RECIPIENT], [250, 251], ENHANCED, EITHER, Verdict.ACCEPTED),
    Row([Stage.DATA], [354], ENHANCED, EITHER, Verdict.ACCEPTED),
    Row([Stage.BODY], range(200, 300), ENHANCED, EITHER, Verdict.ACCEPTED),
    Row([Stage.SENDER], NO_REFUSALS - {250}, ENHANCED, EITHER, Verdict.SERVER_DOWN),
    Row([Stage.RECIPIENT], NO_REFUSALS - {250, 251}, ENHANCED, EITHER, Verdict.SERVER_DOWN),
    Row([Stage.DATA], NO_REFUSALS - {354}, ENHANCED, EITHER, Verdict.SERVER_DOWN),
    Row([Stage.BODY], NO_REFUSALS - set(range(200, 300)), ENHANCED, EITHER, Verdict.UNKNOWN),
    Row([Stage.SENDER], REFUSALS, ENHANCED, EITHER, Verdict.SERVER_DOWN),
    Row(AFTER_SENDER, [421], ENHANCED, EITHER, Verdict.SERVER_DOWN),
    Row(AFTER_SENDER, FOR_NOW, ENHANCED, EITHER, Verdict.RETRY_LATER),
    Row(AFTER_SENDER, FOR_GOOD, ADDRESS + MAILBOX, EITHER, Verdict.REJECTED),
    Row(AFTER_SENDER, NO_SUCH_RECIPIENT, [None], EITHER, Verdict.REJECTED),
    Row(AFTER_SENDER, FOR_GOOD, OTHERS, [True], Verdict.RETRY_LATER),
    Row(AFTER_SENDER, FOR_GOOD, OTHERS, [False], Verdict.SERVER_DOWN),
    Row(AFTER_SENDER, set(FOR_GOOD) - NO_SUCH_RECIPIENT, [None], [True], Verdict.RETRY_LATER),
    Row(AFTER_SENDER, set(FOR_GOOD) - NO_SUCH_RECIPIENT, [None], [False], Verdict.SERVER_DOWN),
]


@pytest.mark.parametrize("stage", Stage)
def test_every_reply_means_what_the_table_says(stage: Stage) -> None:
    rows = [row for row in TABLE if stage in row.stages]
    for code, enhanced, has_taken in product(CODES, ENHANCED, EITHER):
        (verdict,) = [  # no two rows are about the same reply, and none is left out
            row.verdict
            for row in rows
            if code in row.codes and enhanced in row.enhanced and has_taken in row.has_taken
        ]
        assert verdict_on(stage, code, enhanced, has_taken=has_taken) is verdict


@pytest.mark.parametrize("stage", BEFORE_BODY)
def test_there_is_no_doubt_before_the_body(stage: Stage) -> None:
    for code, enhanced, has_taken in product(CODES, ENHANCED, EITHER):
        assert verdict_on(stage, code, enhanced, has_taken=has_taken) is not Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"5.1.1 No such user", "5.1.1"),
        (b"5.7.1", "5.7.1"),
        (b"5.123.456 Odd", "5.123.456"),
        (b"No such user", None),
        (b"4.2.2 Full", None),
        (b"See 5.1.1", None),
        (b"5.1.1000", None),
        (b"5.1", None),
        (b"", None),
    ],
)
def test_enhanced_code_stands_at_the_beginning(reply: bytes, code: str | None) -> None:
    assert enhanced_code_of(reply) == code
