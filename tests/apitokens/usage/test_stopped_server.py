"""A web server that is stopped stores every use first, as its processes do (test_killed)."""

import sqlite3
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tests.portal import served_portal


def test_web_server_that_is_stopped_has_written_every_use(tmp_path: Path) -> None:
    """granian's workers end as multiprocessing ends processes."""
    with served_portal(tmp_path) as portal:
        token = portal.demo.split("APIKey ")[1].split("'")[0]
        url = f"{portal.url}/iam/clients/me"
        for _time in range(7):
            request = urllib.request.Request(url, headers={"Authorization": f"APIKey {token}"})
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
        token_id = int(token.replace("_", "$").split("$")[0])
        assert _counted_today(tmp_path, token_id) < 7
    assert _counted_today(tmp_path, token_id) == 7


def _counted_today(data_dir: Path, token_id: int) -> int:
    with closing(sqlite3.connect(data_dir / "permatoken.sqlite3")) as database:
        today = datetime.now(UTC).date().isoformat()
        (count,) = database.execute(
            "SELECT coalesce(sum(count), 0) FROM apitokens_tokenuseday WHERE token_id=? AND day=?",
            [token_id, today],
        ).fetchone()
        return int(count)
