"""Single variables, as operators set them."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import read

Set = Callable[[str], None]


@pytest.fixture
def rate(monkeypatch: pytest.MonkeyPatch) -> Set:
    """`rate(text)` sets REFUSAL_RATE."""
    return lambda text: monkeypatch.setenv("REFUSAL_RATE", text)


def test_what_is_not_set_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REFUSAL_RATE", "SIGN_UP", "DEBUG", "REDIS_URL", "ALLOWED_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    assert read.number("REFUSAL_RATE", default=300) == 300
    assert read.decimal("REFUSAL_RATE", default=0.5, lowest=0, highest=1) == 0.5
    assert read.choice("SIGN_UP", "open", "closed") == "open"
    assert read.flag("DEBUG") is False
    assert read.text("REDIS_URL") == ""
    assert read.texts("ALLOWED_HOSTS") == []


def test_numbers_may_be_nought_and_have_no_end(rate: Set) -> None:
    rate("0")
    assert read.number("REFUSAL_RATE", default=300) == 0
    rate("999999999")
    assert read.number("REFUSAL_RATE", default=300) == 999_999_999


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "1" * 5_000])
def test_what_is_no_number_is_refused(rate: Set, text: str) -> None:
    rate(text)
    with pytest.raises(
        ImproperlyConfigured, match=r"^REFUSAL_RATE must be a number from 0 on, not '.*'\.$"
    ):
        read.number("REFUSAL_RATE", default=300)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("1", 1), ("0.5", 0.5), ("0,5", 0.5)])
def test_decimal_is_read(rate: Set, text: str, value: float) -> None:
    rate(text)
    assert read.decimal("REFUSAL_RATE", default=1, lowest=0, highest=1) == value


@pytest.mark.parametrize("text", ["-0.1", "1.1", "1_0e-1", "1e-1", "٠.٥", "nan", "inf", "half"])
def test_what_is_no_decimal_is_refused(rate: Set, text: str) -> None:
    rate(text)
    with pytest.raises(
        ImproperlyConfigured, match=r"^REFUSAL_RATE must be a number from 0 to 1, not '.*'\.$"
    ):
        read.decimal("REFUSAL_RATE", default=1, lowest=0, highest=1)


@pytest.mark.parametrize("text", ["Closed", "no"])
def test_what_is_no_choice_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SIGN_UP", text)
    with pytest.raises(ImproperlyConfigured, match=r"^SIGN_UP must be open, ajar or closed\.$"):
        read.choice("SIGN_UP", "open", "ajar", "closed")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("true", True), ("True", True), ("yes", True), ("on", True), ("1", True)),
        *(("false", False), ("no", False), ("off", False), ("0", False)),
    ],
)
def test_flag_is_read(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("DEBUG", text)
    assert read.flag("DEBUG", default=not value) is value


@pytest.mark.parametrize("text", ["flase", "enabled", "2", "$DEBUG", "ok"])
def test_what_is_no_flag_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DEBUG", text)
    with pytest.raises(ImproperlyConfigured, match=r"^DEBUG must be true or false, not '.*'\.$"):
        read.flag("DEBUG")


def test_dollar_is_a_dollar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "$HOME")
    assert read.text("REDIS_URL") == "$HOME"


def test_variable_that_is_not_on_the_list_is_not_read() -> None:
    with pytest.raises(LookupError, match=r"Add NEW_ONE to config/env/variables\.py"):
        read.text("NEW_ONE")
