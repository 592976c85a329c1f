"""Names of browsers and systems, read from the User-Agent header."""

import re

from django.utils.translation import gettext as _

# The order matters: most browsers also name others, to be taken for them.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_name(user_agent: str) -> str:
    """ "Firefox on Linux"; the program's own name for what is no browser; "" for nothing."""
    browser = _first(BROWSERS, user_agent) or _program(user_agent)
    system = _first(SYSTEMS, user_agent)
    if not system or not browser:
        return browser
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}


def _program(user_agent: str) -> str:
    """What the header begins with; of browsers that is Mozilla, which says nothing."""
    name = user_agent.split(" ", 1)[0][:60]
    return _("Unknown browser") if name.startswith("Mozilla/") else name


def browser_with_version(user_agent: str) -> str:
    """ "Chrome 156 · Linux"; the beginning of the header for what is no browser; "" for nothing."""
    browser = next((each for each in BROWSERS if each[0] in user_agent), None)
    if browser is None:
        return user_agent[:60]
    name = f"{browser[1]} {_version(browser[0], user_agent)}".rstrip()
    system = _first(SYSTEMS, user_agent)
    return f"{name} · {system}" if system else name


def _version(mark: str, user_agent: str) -> str:
    """The number of the browser; Safari tells its own elsewhere."""
    product = "Version" if mark == "Safari/" else mark.rstrip("/")
    found = re.search(rf"{re.escape(product)}[A-Za-z]{{0,20}}/(\d{{1,5}})", user_agent)
    return found[1] if found else ""


def _first(known: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for mark, name in known if mark in text), "")
