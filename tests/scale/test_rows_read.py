"""No page reads more rows because there are more that it does not show: a tenth of the data of
`make bench-scale`, on a PostgreSQL of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_ROWS = 36_000
"""What counts up to the bound read, for the parts of a list, and pages up to it: in a tenth of the
data unbounded lists read 100,000 to 500,000."""
MOST_ENTRIES = 45_000
"""Of indices: what is counted by an index alone reads no row."""
NOT_BOUNDED = {"audit log, busy token"}
"""In a tenth of the data PostgreSQL reads all entries of the account beside those of the token. In
all of it, it does not."""


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
        if each["rows_read"] > MOST_ROWS
        or (each["entries_read"] > MOST_ENTRIES and each["name"] not in NOT_BOUNDED)
    }
    assert above == {}, done.stdout
    assert [each["name"] for each in found if "status" in each["note"]] == []
