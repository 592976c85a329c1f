"""What a question has shown, so that its answer acts on this and on nothing else.

The page of the question sends a fingerprint along. The service compares it under its lock, and
refuses once if something else would be concerned by now.
"""

import hashlib
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

CHANGED = "changed_meanwhile"


def fingerprint(*facts: Any) -> str:
    """A short text that is another one if a fact is. Collections are given sorted."""
    text = "\n".join(map(_text, facts))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


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
