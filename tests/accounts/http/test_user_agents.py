"""Names of browsers, from what they call themselves."""

import pytest

from accounts.http.user_agents import browser_with_version

MOZILLA = "Mozilla/5.0"
GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"{GECKO} Chrome/156.0.0.0 Safari/537.36"
IPHONE = "(iPhone; CPU iPhone OS 18_5 like Mac OS X)"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (f"{MOZILLA} (X11; Linux x86_64) {CHROME}", "Chrome 156 · Linux"),
        (f"{MOZILLA} (Windows NT 10.0) {CHROME} Edg/156.0", "Edge 156 · Windows"),
        (f"{MOZILLA} (Android 15; rv:153.0) Firefox/153.0", "Firefox 153 · Android"),
        (f"{MOZILLA} {IPHONE} {GECKO} Version/18.5 Safari/604.1", "Safari 18 · iPhone"),
        (f"{MOZILLA} Firefox/", "Firefox"),
        ("curl/8.14.1", "curl/8.14.1"),
        ("", ""),
        ("x" * 200, "x" * 60),
        (f"Chrome/{'9' * 199}", "Chrome 99999"),
    ],
)  # fmt: skip
def test_browser_is_named_with_its_number_and_system(header: str, name: str) -> None:
    assert browser_with_version(header) == name
