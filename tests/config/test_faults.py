"""What fails in front of Django is logged, and answered in words."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.test import RequestFactory

from config.fast_path.shortcut import shortcut
from config.server.faults import answer_faults
from config.server.peppers import require_right_peppers

VERIFY = "/iam/auth/verify"


def say(serve: Any, path: str) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    answer = serve(RequestFactory().get(path).META, lambda *facts: told.append(facts))
    return told[0][0], dict(told[0][1]), b"".join(answer)


def django(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"Django"]


@pytest.mark.parametrize("part", ["answer_requirement", "_request_key"])
def test_fault_of_the_fast_path_is_logged_and_django_answers(
    part: str, caplog: pytest.LogCaptureFixture
) -> None:
    with patch(f"config.fast_path.verify.{part}", side_effect=RuntimeError("a fault")):
        assert say(shortcut(django), VERIFY)[2] == b"Django"
    assert "a fault" in caplog.text


@pytest.mark.parametrize("part", ["begin_to_count", "result_of", "write_verification"])
def test_answer_that_cannot_be_counted_goes_out(
    part: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = patch(f"config.fast_path.shortcut.{part}", side_effect=RuntimeError("not counted"))
    if part != "result_of":  # memory knows what its answer comes to
        with broken:
            assert say(shortcut(django), VERIFY)[0] == "401 Unauthorized"
        assert caplog.text.count("RuntimeError: not counted") == 1
        caplog.clear()
    with broken, patch("config.fast_path.verify.answer_requirement", side_effect=RuntimeError):
        assert say(shortcut(django), VERIFY)[2] == b"Django"
    assert caplog.text.count("RuntimeError: not counted") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("a secret"), "500 Internal Server Error"),
        (OperationalError("gone"), "503 Service Unavailable"),
    ],
)
def test_fault_in_front_of_django_is_answered_in_words(
    error: Exception, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_environ: Any, _start_response: Any) -> list[bytes]:
        raise error

    page, api = say(answer_faults(fails), "/sign-in/"), say(answer_faults(fails), "/iam/users/me")

    assert page[0] == api[0] == status
    assert page[2].decode().strip().endswith(".")
    assert json.loads(api[2])["message"] == page[2].decode().strip()
    assert ("Retry-After" in page[1]) == status.startswith("503")
    assert b"secret" not in page[2]
    assert str(error) in caplog.text


def test_peppers_that_cannot_be_checked_stop_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with patch(
        "apitokens.pepper_checks.require_right_peppers", side_effect=RuntimeError("a fault")
    ):
        assert say(require_right_peppers(django), "/sign-in/")[2] == b"Django"
    assert "a fault" in caplog.text
