"""`make map`: draw docs/images/architecture.svg from the layers of the import contracts.

A row is a layer; what it is for is said here, at one of its folders.
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
ABOUT = {
    "config": "puts the apps together: settings, addresses, start",
    "operations": "for those who run the portal",
    "apitokens": "issues, verifies and watches API tokens",
    "sso": "signs people in at their own identity provider",
    "accounts": "people, accounts, roles, signing in, the audit log",
    "notifications": "tells people, by mail and in the portal, exactly once",
    "upgrades": "changes the database while it is in use",
    "telemetry": "what every app counts",
}
ROWS = {
    "config.launcher": "make run: the whole portal in the foreground",
    "config.fast_path": "verification and introspection, answered in front of Django",
    "config.observability": "a line, a count and a span for each request and task",
    "config.logs": "the forms of a line of the log",
    "config.env": "environment variables; outages of the database",
    "operations.checks": "what an installation is examined for",
    "apitokens.demo": "an example account",
    "apitokens.admin": "the REST API, the pages, the operators’ admin",
    "apitokens.verification": "whether a token is good",
    "apitokens.tokens": "issuing and deleting",
    "apitokens.expiry": "notices before the end; counting uses; found tokens",
    "sso.enforcement": "who must sign in by SSO",
    "sso.logout": "Single Logout; unlinking a person from the provider",
    "sso.inactivity": "tokens of people who stay away; assertion, provisioning, session",
    "sso.connections": "an account’s provider: metadata, domains, certificates",
    "sso.saml": "reading and verifying SAML messages",
    "accounts.admin": "entry points besides the pages",
    "accounts.account": "the page Account; the page All users",
    "accounts.invitations": "asking an address to join",
    "accounts.members": "who belongs, as what; sign-up, sign-in, second factors, e-mail change",
    "accounts.users": "profiles; theme and language",
    "accounts.passwords": "which passwords are good enough; how one is compared",
    "accounts.jwt": "short-lived tokens",
    "accounts.audit": "the audit log",
    "accounts.people": "finding a person by name",
    "accounts.tenancy": "the account that a request is about",
    "accounts.authorization": "the actor, authorized anew in the transaction; rate limits",
    "accounts.http": "client address, redirects, sessions, middleware",
    "notifications.health": "the bell and the inbox",
    "notifications.email": "rendering, and delivery exactly once",
    "notifications.preferences": "settings, and the link that unsubscribes",
    "notifications.bounded_pages": "lists that count no further than they need",
    "upgrades.apps": "the command migrate",
    "upgrades.operations": "indices, checks and rows, bit by bit",
    "telemetry.files": "the processes of a machine, put together",
    "telemetry.context": "the id of a request; the counters",
}
NUMBERS = {6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}
WIDTH, LEFT, SAYS_AT, RIGHT = 1060, 250, 580, 1020
ROW, CHIP = 38, 28
"""Pixels from row to row, and of a folder's height."""
LETTER, AROUND, GAP = 7.65, 18, 8
"""Pixels of a letter, around a name, and between two."""
ABOUT_LETTERS = 23
"""Of a line below the name of an app."""
STYLE = """<style>
  svg { color-scheme: light dark; font-family: system-ui, "DejaVu Sans", sans-serif; }
  .page { fill: #ffffff; } .band { fill: #f4f6f9; stroke: #c9d1dc; }
  .folder { fill: #dce8fb; stroke: #7b9fd4; } .module { fill: #ffffff; stroke: #c0c7d1; }
  .app { font-size: 20px; font-weight: 700; fill: #17202e; }
  .says { font-size: 13px; fill: #4a5666; } .chip { font-size: 13px; fill: #17202e; }
  .arrow { stroke: #4a5666; stroke-width: 2; fill: none; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #10151d; } .band { fill: #18202b; stroke: #364253; }
    .folder { fill: #20385c; stroke: #4f77b3; } .module { fill: #10151d; stroke: #46536a; }
    .app, .chip { fill: #e8edf5; } .says { fill: #aab6c6; } .arrow { stroke: #aab6c6; }
  }
</style>"""


def main() -> int:
    PICTURE.write_text(drawn())
    return 0


def drawn() -> str:
    """The picture of today's contracts."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    apps = _layers_by_app(contracts["contracts"])
    order = [app for app in ABOUT if app in apps]
    body, top = list[str](), 20
    for app in order:
        rows = [row for layer in apps[app] for row in _broken(layer)]
        height = 24 + ROW * len(rows)
        body += _band(app, rows, top, height)
        top += height + 22
    return "\n".join([*_head(len(order), top), *body, *_arrow(top), "</svg>", ""])


def _layers_by_app(contracts: list[dict[str, Any]]) -> dict[str, list[list[str]]]:
    """Of each app its layers, the highest first, each with its folders and modules."""
    return {
        contract["containers"][0]: [
            [name.strip() for name in layer.split("|")] for layer in contract["layers"]
        ]
        for contract in contracts
        if contract.get("exhaustive")
    }


def _broken(layer: list[str]) -> Iterator[list[str]]:
    """The layer in rows that fit between the margins."""
    row, right = list[str](), float(LEFT)
    for name in layer:
        right += _width(name) + GAP
        if row and right > RIGHT:
            yield row
            row, right = [], LEFT + _width(name) + GAP
        row.append(name)
    yield row


def _band(app: str, rows: list[list[str]], top: int, height: int) -> Iterator[str]:
    yield f'<rect x="60" y="{top}" width="980" height="{height}" rx="12" class="band"/>'
    yield _text(80, top + 34, "app", app)
    for number, line in enumerate(_lines(ABOUT[app])):
        yield _text(80, top + 58 + 18 * number, "says", line)
    for number, row in enumerate(rows):
        yield from _chips(app, row, top + 16 + ROW * number)


def _chips(app: str, row: list[str], y: int) -> Iterator[str]:
    x = float(LEFT)
    for name in row:
        kind = "folder" if (ROOT / app / name / "__init__.py").exists() else "module"
        width = _width(name)
        yield (f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{CHIP}" rx="6" class="{kind}"/>')
        yield _text(x + width / 2, y + 19, "chip", name, anchor="middle")
        x += width + GAP
    says = [ROWS[f"{app}.{name}"] for name in row if f"{app}.{name}" in ROWS]
    if says:
        yield _text(max(SAYS_AT, x + GAP), y + 19, "says", says[0])


def _head(apps: int, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="title">',
        f'<title id="title">The {NUMBERS[apps]} apps and their folders. Each knows only what '
        "stands below it.</title>",
        STYLE,
        f'<rect width="{WIDTH}" height="{height}" class="page"/>',
    ]


def _arrow(height: int) -> Iterator[str]:
    end = height - 30
    yield f'<path d="M 34 30 V {end}" class="arrow"/>'
    yield f'<path d="M 28 {end - 10} L 34 {end + 4} L 40 {end - 10}" class="arrow"/>'
    yield (
        f'<text x="22" y="{height / 2:g}" class="says" text-anchor="middle" '
        f'transform="rotate(-90 22 {height / 2:g})">may know what stands below, never what stands '
        "above</text>"
    )


def _text(x: float, y: float, kind: str, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _width(name: str) -> float:
    return round(AROUND + LETTER * len(name), 1)


def _lines(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= ABOUT_LETTERS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


if __name__ == "__main__":
    sys.exit(main())
