"""The paths that mails and notices lead to, those of them that are secret, and text that mail
programs would make a link of."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from django.urls import URLResolver, get_resolver, register_converter, reverse
from django.urls.converters import StringConverter

from notifications.hooks import Hook

_LINK = re.compile(
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:[/\\]{2}"
    r"|\b(?:mailto|tel|sms|callto|skype|whatsapp|javascript):(?=\S)"
    r"|(?<![\w-])(?<![\w-][.。])(?!(?-i:Co\.(?:KG|KGaA|OHG))(?![\w.-]))"
    r"(?:[\w-]+[.。])+(?:(?<=\.)[^\W\d_]{2,}|[a-z]{2,})"
    r"|(?<!\d)\d{1,3}(?:\.\d{1,3}){3}",
    re.IGNORECASE,
)
"""A scheme, a domain or an IP address: what mail programs and people take for an address. Three
endings of German companies are none, though there is a domain kg. A domain is looked for from the
beginning of its first label only: else the time would grow with the square of the text."""
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What is not seen besides all of Unicode's category Cf: letters that fill, and variants."""
_STOPS = re.compile("[.。]")
_QUOTED = re.compile("%(?:25)*([0-9a-f]{2})", re.IGNORECASE)
MOST_QUOTINGS = 5


class SecretConverter(StringConverter):
    """`<secret:…>` in a route: a signed link, which lets in everybody who knows it.

    Logs, error reports and the Referer header leave out what stands there. So every link that is a
    permission by itself has to be routed by this converter, and nothing else does.
    """


register_converter(SecretConverter, "secret")


class SecretRoute(NamedTuple):
    """A route with a secret: its name, and a regular expression of its path up to the secret."""

    name: str
    start: str


def secret_routes() -> list[SecretRoute]:
    """All routes with a secret, read from the URL configuration."""
    return list(_walk(get_resolver().url_patterns, "", ""))


@Hook
def redact(text: str) -> str:
    """The text without the secrets of tokens and signed links, however they are quoted."""
    raise NotImplementedError


def hide_secrets(text: str) -> str:
    """Replace the secret of every path in a text by an ellipsis."""
    return _secret_paths().sub(r"\1…", text)


def has_secret(text: str) -> bool:
    """True if there is a path with a secret in the text, however often it is quoted."""
    return _secret_paths().search(unquoted(text)) is not None


def unquoted(text: str) -> str:
    """The text without percent-encoding, be it encoded over and over; but for control characters,
    which would begin another line of a log, and for what is no ASCII."""
    for _time in range(MOST_QUOTINGS):
        former, text = text, _QUOTED.sub(_unquote, text) if "%" in text else text
        if text == former:
            break
    return text


def _unquote(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character.isascii() and character.isprintable() else found[0]


@cache
def _secret_paths() -> re.Pattern[str]:
    """What is a number is no secret: pages about an invitation have its id there."""
    starts = "|".join(sorted({route.start for route in secret_routes()}))
    end = r"/\s\"'<>?#&|,;)\]}"
    return re.compile(rf"((?:{starts}))(?![0-9]{{1,19}}(?:[{end}%]|$))[^{end}]+")


def _walk(patterns: list[Any], namespace: str, outer: str) -> Iterator[SecretRoute]:
    for pattern in patterns:
        route = outer + pattern.pattern.regex.pattern.removeprefix("^")
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern.url_patterns, inner, route)
            continue
        for argument, converter in pattern.pattern.converters.items():
            if isinstance(converter, SecretConverter):
                start = route.partition(f"(?P<{argument}>")[0]
                yield SecretRoute(f"{namespace}{pattern.name}", _anywhere(start))


def _anywhere(start: str) -> str:
    """The regular expression of a path's start, for any text: with a slash before it, which may be
    quoted like all others, and without names of groups."""
    parts = re.sub(r"\(\?P<\w+>", "(?:", f"/{start}").split("[^/]+")
    return r"[^/\s]+".join(part.replace("/", "(?:/|%2[Ff])") for part in parts)


def has_link(text: str) -> bool:
    """True if a mail program, or a person, would make a link of something in the text."""
    return _LINK.search(_as_read(text)) is not None


def defuse_links(text: str) -> str:
    """Write addresses in a text so that nobody can follow them: `example[.]com`."""
    return _LINK.sub(_defuse, _as_read(text)) if has_link(text) else text


def _defuse(found: re.Match[str]) -> str:
    return _STOPS.sub("[.]", found[0]).replace(":", "[:]")


def _as_read(text: str) -> str:
    """The text as it looks: full-width characters are like others, and some are not seen at all."""
    seen = "".join(each for each in text if unicodedata.category(each) != "Cf")
    return unicodedata.normalize("NFKC", _UNSEEN.sub("", seen))


def path_to(view: str, **arguments: int | str) -> str:
    """The path of a page. One of an account takes its `account_id`: the account of whom is told."""
    return reverse(view, kwargs=arguments)
