"""A process that asks about one token as fast as it can, and tells when it was good last.

`python -m tests.verify_worker` reads the token from standard input, prints "ready" when the token
is in its memory, and at the end a JSON object: `good_until` (the beginning of the last call that
found it good), `refused_at` (the end of the first that did not), both by the clock that all
processes of the machine share, `calls`, and the last `refusal`.
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
    presented = sys.stdin.readline().strip()
    calls, result = 0, {"good_until": 0.0, "refused_at": 0.0, "calls": 0, "refusal": ""}
    deadline = time.monotonic() + ASKS_FOR
    while time.monotonic() < deadline and not result["refusal"]:
        calls += 1
        _ask(presented, result)
        if calls == WARM:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
    result["calls"] = calls
    json.dump(result, sys.stdout)


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
