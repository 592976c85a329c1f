"""The Nu Html Checker (npm's vnu-jar, which needs Java)."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests import npm

FOLDER = Path(__file__).resolve().parent
NO_JAVA = "needs Java; get it with: apt-get install default-jre-headless"
EXCEPTIONS = {
    r"^The “role” attribute must not be used on a “t[drh]” element": (
        "Roles keep a table a table where its rows are laid out as blocks. The checker forbids "
        "them since 2026; browsers still need them."
    ),
    "“supported-color-schemes”": ("What Apple Mail reads before `color-scheme`."),
}
"""What is meant as it is: the beginning of the message, and why."""


def install() -> None:
    """Install the checker, unless it is. Raises `npm.Unavailable`."""
    if shutil.which("java") is None:
        raise npm.Unavailable(NO_JAVA)
    npm.install(FOLDER)


def errors(pages: Iterable[Path]) -> dict[str, list[str]]:
    """What is wrong with each of these HTML files, but for the exceptions."""
    jar = FOLDER / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
    command = ["java", "-jar", str(jar), "--format", "json", "--errors-only", "--stdout"]
    done = subprocess.run(
        [*command, "--exit-zero-always", *map(str, pages)],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    found: dict[str, list[str]] = {}
    for message in json.loads(done.stdout)["messages"]:
        if not any(re.search(pattern, message["message"]) for pattern in EXCEPTIONS):
            words = f"{message['message']} {message.get('extract', '')!r}"
            found.setdefault(Path(message["url"]).name, []).append(words)
    return found
