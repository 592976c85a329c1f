"""A second start on the same data."""

from pathlib import Path

from tests.launcher.portal import READY, started


def test_second_start_keeps_the_data_and_tells_no_demo(used_data_dir: Path, port: int) -> None:
    """On data that are there: what a start on nothing does, `test_first_start` sees."""
    with started(used_data_dir, port=port) as first:
        first.wait_for(READY)
    database = (used_data_dir / "permatoken.sqlite3").stat().st_ino

    with started(used_data_dir, port=port) as second:
        second.wait_for(READY)

    assert f"Permatoken is ready: http://localhost:{port}" in second.output
    assert "permatoken-demo" not in second.output
    assert second.curl_line[2] == "Authorization: APIKey <token>"
    assert (used_data_dir / "permatoken.sqlite3").stat().st_ino == database
