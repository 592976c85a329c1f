"""Answers with a file that is sent while it is made."""

import logging
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from django.http import StreamingHttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

logger = logging.getLogger(__name__)


def csv_download(lines: Iterator[str], *, name: str, at: datetime) -> StreamingHttpResponse:
    """A CSV file called by its name and the day, in the language and time zone of the moment: it is
    made when the request has ended, and these with it.

    If it breaks off, its last line says so: not every web server lets the client know.
    """
    return StreamingHttpResponse(
        _made_as_now(_with_end(lines)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{at:%Y-%m-%d}.csv"'},
    )


def _with_end(lines: Iterator[str]) -> Iterator[str]:
    """The lines, up to the last of them or to a sentence. The heading comes with the first lines:
    what goes wrong before those can still be answered as a fault."""
    yield "".join(islice(lines, 2))
    try:
        yield from lines
    except Exception:
        logger.exception("A file broke off while it was sent.")
        sentence = _("This file is incomplete: something went wrong. Download it again.")
        yield f'"{sentence}"\r\n'


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
