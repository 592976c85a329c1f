"""Answers with a file that is sent while it is made."""

from collections.abc import Iterator
from datetime import datetime

from django.http import StreamingHttpResponse


def csv_download(lines: Iterator[str], *, name: str, at: datetime) -> StreamingHttpResponse:
    """A CSV file called by its name and the day."""
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{at:%Y-%m-%d}.csv"'},
    )
