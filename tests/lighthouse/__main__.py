"""Ask Lighthouse about the main pages of a portal with the demo, print what it gives them, and fail
below what is promised: `make lighthouse`.

A machine that does other things at the same time makes pages look slow, never fast: of up to three
tries the best counts.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests import npm
from tests.engines import chromium
from tests.portal import Portal, served_portal
from tests.visitor import Visitor

FOLDER = Path(__file__).resolve().parent
TRIES = 3
CATEGORIES = ("performance", "accessibility", "best-practices")
PROMISED = {"desktop": 100, "mobile": 98}
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
FIRST_TOKEN = "from apitokens.models import APIToken; print(APIToken.objects.earliest('pk').pk)"


class Scores(NamedTuple):
    """What Lighthouse gives a page, of 100."""

    performance: int
    accessibility: int
    best_practices: int


def main() -> int:
    """Ask about every page; returns how many are worse than promised."""
    npm.install(FOLDER)
    _say(f"{'page':<12}{'device':<10}{'performance':>13}{'accessibility':>15}{'practices':>11}")
    worse = 0
    with tempfile.TemporaryDirectory() as folder, served_portal(Path(folder)) as portal:
        for page, path, cookie in _pages(portal):
            for device, promised in PROMISED.items():
                scores = _best(portal.url + path, device=device, cookie=cookie, enough=promised)
                is_worse = min(scores) < promised
                worse += is_worse
                _say(
                    f"{page:<12}{device:<10}{scores.performance:>13}{scores.accessibility:>15}"
                    f"{scores.best_practices:>11}{f'   < {promised}' if is_worse else ''}"
                )
    return worse


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _pages(portal: Portal) -> Iterator[tuple[str, str, str]]:
    """The name of each page, its path, and the cookie of who may see it."""
    yield "sign-in", "/sign-in/", ""
    administrator, account = Visitor(portal.url), "/accounts/1/"
    administrator.sign_in("admin@example.com")
    cookie = administrator.cookie
    token = portal.shell.run(FIRST_TOKEN).strip()
    yield "list", f"{account}api-tokens/", cookie
    yield "create", f"{account}api-tokens/create/", cookie
    yield "token", f"{account}api-tokens/{token}/", cookie
    yield "people", f"{account}users/", cookie
    yield "audit log", f"{account}audit-log/", cookie


def _best(url: str, *, device: str, cookie: str, enough: int) -> Scores:
    best = Scores(0, 0, 0)
    for _try in range(TRIES):
        best = max(best, _ask(url, device=device, cookie=cookie), key=min)
        if min(best) >= enough:
            break
    return best


def _ask(url: str, *, device: str, cookie: str) -> Scores:
    done = subprocess.run(
        [
            *(npm.program("node"), "node_modules/lighthouse/cli/index.js", url, "--quiet"),
            *("--output=json", "--output-path=stdout", "--no-enable-error-reporting"),
            *(f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={FLAGS}"),
            *(["--preset=desktop"] if device == "desktop" else []),
            *([f"--extra-headers={json.dumps({'Cookie': cookie})}"] if cookie else []),
        ],
        cwd=FOLDER,
        env={**os.environ, "CHROME_PATH": chromium.path() or ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise SystemExit(f"Lighthouse could not look at {url}:\n{done.stderr}")
    report = json.loads(done.stdout)
    seen = report["finalDisplayedUrl"]
    if seen != url:
        raise SystemExit(f"Lighthouse was led from {url} to {seen}.")
    return Scores(*(round(report["categories"][name]["score"] * 100) for name in CATEGORIES))


if __name__ == "__main__":
    if chromium.path() is None:
        sys.exit(chromium.MISSING)
    sys.exit(main())
