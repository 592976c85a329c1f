"""A process that asks about a token as fast as it can, and tells when it was good last.

`python -m tests.verify_worker` reads tokens from standard input, a line each. For each it prints
"ready" when the token is in its memory, and at the end a JSON object in a line: `good_until` (the
beginning of the last call that found it good), `refused_at` (the end of the first that did not),
both by the clock that all processes of the machine share, `calls`, and the last `refusal`.
"""

import json
import sys
import time
from typing import Any

import django

ASKS_FOR = 20
"""Seconds, if nothing ever refuses the token."""
WARM = 50


def main() -> None:
    django.setup()
    for line in sys.stdin:
        _say(json.dumps(_watch(line.strip())))


def _watch(presented: str) -> dict[str, Any]:
    calls, result = 0, {"good_until": 0.0, "refused_at": 0.0, "calls": 0, "refusal": ""}
    deadline = time.monotonic() + ASKS_FOR
    while time.monotonic() < deadline and not result["refusal"]:
        calls += 1
        _ask(presented, result)
        if calls == WARM:
            _say("ready")
    return {**result, "calls": calls}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _ask(presented: str, result: dict[str, Any]) -> None:
    from django.utils import timezone

    from apitokens.verification.refusals import Refused
    from apitokens.verification.verify import verify

    began = time.monotonic()
    try:
        verify(presented=presented, at=timezone.now(), address=None)
    except Refused as refused:
        result["refused_at"], result["refusal"] = time.monotonic(), refused.code
    else:
        result["good_until"] = began


if __name__ == "__main__":
    main()
