"""What a question has shown, so that its answer acts on this and on nothing else.

The page of the question sends a fingerprint along. The service compares it under its lock, and
refuses once if something else would be concerned by now.
"""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.http.concurrent_edits import CHANGED, digest


def fingerprint(*facts: Any) -> str:
    """A short text that is another one if a fact is. Collections are given sorted."""
    return digest("\n".join(map(_text, facts)), size=12)


def refuse_changed(shown: str | None, present: str) -> None:
    """Raise `ValidationError` if what was shown is not what there is. None: nothing was shown."""
    if shown not in (None, present):
        raise ValidationError(
            _(
                "This was changed after you opened the page, so nothing has been done. Check what "
                "the page shows now, and confirm again."
            ),
            code=CHANGED,
        )


def _text(fact: Any) -> str:
    return repr(fact.timestamp() if isinstance(fact, datetime) else fact)
