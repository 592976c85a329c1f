"""No page reads more rows because there are more that it does not show: a tenth of the data of
`make bench-scale`, on a PostgreSQL of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale.server import newest_of_debian

ROOT = Path(__file__).resolve().parent.parent.parent
LIMITS = ROOT / "docs" / "operations" / "limits.md"
MOST_ROWS = 36_000
"""What counts up to the bound read, for the parts of a list, and pages up to it: in a tenth of the
data unbounded lists read 100,000 to 500,000."""
MOST_ENTRIES = 45_000
"""Of indices: what is counted by an index alone reads no row."""
GROWING = {
    *("audit log, busy token", "tokens, by issuer", "tokens, by last usage"),
    *("tokens, not used for 90 days", "tokens, search of one letter", "usage", "API: deleted, far"),
}
"""What docs/operations/limits.md tells of, for an Administrator of the big account. (*Usage* is not
in it: in all of the data PostgreSQL reads the days of 200 tokens, in a tenth it reads them all.)
What has no bound in `make bench-scale` is told of there, too."""
MOST_GROWING = 130_000
"""Each of 60,000 tokens twice."""


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_rows_read_do_not_grow_with_rows_that_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.scale", "--share", "0.1", "--pages-only"]
    done = subprocess.run(
        [*command, "--json", str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1_700,
    )
    assert file.exists(), done.stdout
    found: list[dict[str, Any]] = json.loads(file.read_text())

    above = {
        (each["who"], each["name"]): (each["rows_read"], each["entries_read"])
        for each in found
        if not _is_bounded(each)
    }
    assert above == {}, done.stdout
    assert [each["name"] for each in found if "status" in each["note"]] == []
    used = {index for each in found for index in each["indices"]}
    assert _named_indices() - used == set()  # none that serves nothing


def _is_bounded(figures: dict[str, Any]) -> bool:
    is_of_big = figures["who"] == "Administrator" and figures["name"] in GROWING
    grows = is_of_big or figures["bound"] is None
    most_rows, most_entries = (MOST_GROWING,) * 2 if grows else (MOST_ROWS, MOST_ENTRIES)
    rows, entries = int(figures["rows_read"]), int(figures["entries_read"])
    return rows <= most_rows and entries <= most_entries


def _named_indices() -> set[str]:
    """Those whose size and use docs/operations/limits.md tells of, and that this PostgreSQL can
    have: without pg_trgm there are none of trigrams."""
    rows = re.findall(r"^\| (`.+?) \| [\d.]+ [kM]B", LIMITS.read_text(), re.MULTILINE)
    has_trigrams = newest_of_debian() is not None
    here = (row for row in rows if has_trigrams or "(trigrams)" not in row)
    return {name for row in here for name in re.findall(r"`(\w+)`", row)}
