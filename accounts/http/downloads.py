"""Answers with a file that is sent while it is made."""

from collections.abc import Iterator
from datetime import datetime

from django.http import StreamingHttpResponse
from django.utils import timezone, translation


def csv_download(lines: Iterator[str], *, name: str, at: datetime) -> StreamingHttpResponse:
    """A CSV file called by its name and the day, in the language and time zone of the moment: it is
    made when the request has ended, and these with it."""
    return StreamingHttpResponse(
        _made_as_now(lines),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{at:%Y-%m-%d}.csv"'},
    )


def _made_as_now(lines: Iterator[str]) -> Iterator[str]:
    """Each part is made so, and whatever the thread does between them is not."""
    language, zone = translation.get_language(), timezone.get_current_timezone()

    def made() -> Iterator[str]:
        while True:
            with translation.override(language), timezone.override(zone):
                part = next(lines, None)
            if part is None:
                return
            yield part

    return made()
