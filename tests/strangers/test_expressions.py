"""No text of strangers makes a regular expression take a time that grows with the square of it.

All expressions of the portal are tried, by the method with which their module uses them. Time is
compared with time for a quarter of the text, at the same moment: four times as long, not sixteen.
"""

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.http.user_agents import browser_with_version
from accounts.validators import validate_line, validate_paragraphs
from apitokens import log_redaction
from notifications import links

APPS = ("accounts", "apitokens", "config", "notifications", "sso", "telemetry")
OF_OURS = ("config.html", "config.server.scripts", "config.server.stylesheets", "config.launcher")
"""Read templates, scripts and style sheets, which nobody sends."""
METHODS = {"search", "match", "fullmatch", "sub", "findall", "finditer", "split"}
PARTS = [
    *("a", "1", "-", ".", ":", "@", "/", " ", "_", "%", "(", "\\", "0", "é", "\n", "=", '"'),
    *(
        "a.",
        "a-",
        "1.",
        "a:",
        "a@",
        "1$",
        "eyJ",
        "eyJ-",
        "eyJ.",
        "eyJa.",
        "eyJa.a.",
        "://",
        "://a:",
    ),
    *(
        "%25",
        "%2f",
        "%24",
        "&#36;",
        "\\u00",
        "\\u0024",
        ":aaaaa:",
        "a-aaaaaa-",
        "a。b.",
        "<a@",
        "(a@b)",
    ),
    *("http://", "mailto:", "Chrome", "Chrome/", "/invitations/", "%2Finvitations%2F", "token="),
    *(
        "?token=",
        ";charset=",
        "; charset",
        " encoding",
        "<?xml",
        "2027-01-31T",
        ": a a",
        "\u202e",
        "a1.",
    ),
]
SIZE = 2_000
QUADRATIC = 9
"""Between 4 and 16. What takes less than `NOTHING` seconds is not compared: that is noise."""
NOTHING = 0.01


def expressions() -> Iterator[tuple[str, Callable[[str], object]]]:
    for app in APPS:
        package = importlib.import_module(app)
        for found in pkgutil.walk_packages(package.__path__, f"{app}."):
            if (
                ".migrations" in found.name
                or "__main__" in found.name
                or ".management." in found.name
            ):
                continue
            if found.name.startswith(OF_OURS) or found.name in ("config.wsgi", "config.celery"):
                continue
            yield from _in_module(importlib.import_module(found.name))


def _in_module(module: Any) -> Iterator[tuple[str, Callable[[str], object]]]:
    source = Path(module.__file__).read_text()
    for name, value in vars(module).items():
        if isinstance(value, re.Pattern) and f"{name} = " in source:
            methods = set(re.findall(rf"\b{name}\.(\w+)\(", source)) & METHODS
            for method in sorted(methods) or ["search"]:
                yield f"{module.__name__}.{name}.{method}", _use(value, method)


def _use(pattern: re.Pattern[Any], method: str) -> Callable[[str], object]:
    is_bytes = isinstance(pattern.pattern, bytes)

    def use(text: str) -> object:
        given: Any = text.encode() if is_bytes else text
        if method == "sub":
            return pattern.sub(given[:0], given)
        if method == "finditer":
            return list(pattern.finditer(given))
        return getattr(pattern, method)(given)

    return use


def _refusable(validate: Callable[[str], object]) -> Callable[[str], object]:
    def use(text: str) -> object:
        try:
            return validate(text)
        except Exception as refusal:
            return refusal

    return use


FUNCTIONS: list[tuple[str, Callable[[str], object]]] = [
    ("redact", log_redaction.redact),
    ("holds_token", log_redaction.holds_token),
    ("has_secret", links.has_secret),
    ("hide_secrets", links.hide_secrets),
    ("has_link", links.has_link),
    ("defuse_links", links.defuse_links),
    ("browser_with_version", browser_with_version),
    ("validate_line", _refusable(validate_line)),
    ("validate_paragraphs", _refusable(validate_paragraphs)),
]


def _seconds(use: Callable[[str], object], text: str) -> float:
    began = time.thread_time()
    use(text)
    return time.thread_time() - began


def _grows_as_square(use: Callable[[str], object], part: str) -> bool:
    short, long = ((part * size)[:size] + "\0" for size in (SIZE, 4 * SIZE))
    if _seconds(use, long) < NOTHING:
        return False
    # The least of a few: the machine has other things to do besides.
    pairs = [(_seconds(use, short), _seconds(use, long)) for _each in range(3)]
    return min(each[1] for each in pairs) > QUADRATIC * min(each[0] for each in pairs)


def test_time_does_not_grow_with_the_square_of_a_text() -> None:
    tried = [*expressions(), *FUNCTIONS]
    assert len(tried) > 40
    for name, use in tried:
        for part in PARTS:
            assert not _grows_as_square(use, part), (name, part)


def test_an_expression_whose_time_does_is_noticed() -> None:
    assert _grows_as_square(re.compile(r"\b(eyJ[\w-]+\.[\w-]+\.)[\w-]+", re.ASCII).search, "eyJ-")


@pytest.mark.parametrize("before", ["", " ", "-", "a-", "Bearer ", "x=", "é"])
def test_short_lived_token_is_redacted_after_whatever_ends_a_word(before: str) -> None:
    assert log_redaction.redact(f"{before}eyJa.eyJb.secret-1") == f"{before}eyJa.eyJb.…"


def test_what_is_too_long_is_logged_without_its_middle_and_without_half_a_secret() -> None:
    token = f"771142358${'a1b2c3d4' * 9}"
    for shift in range(0, 90, 9):
        text = "." * (log_redaction.LONGEST // 2 - shift) + token + "." * 60_000 + token + "the end"
        for cut in (text, text[::-1].replace(token[::-1], token)):
            written = log_redaction._redact_bounded(cut)
            assert len(written) <= log_redaction.LONGEST
            assert "a1b2" not in written
