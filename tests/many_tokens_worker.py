"""A process that asks about many tokens in turn, and tells when each was good last.

`python -m tests.many_tokens_worker` reads a list of tokens from standard input, a JSON line. It
prints "ready" when all were answered from memory, asks on until the next line comes, and prints a
JSON object: `good_until` (by token, the beginning of the last call that found it good, by the clock
that all processes of the machine share), and `calls`. Then it reads the next list.
"""

import json
import sys
import time
from threading import Event, Thread

import django

PAUSE = 0.002
"""Seconds between two rounds: eight of these share two cores with the one that deletes."""


def main() -> None:
    django.setup()
    for line in iter(sys.stdin.readline, ""):
        stop = Event()
        Thread(target=_wait_for_line, args=(stop,), daemon=True).start()
        _say(json.dumps(_watch(json.loads(line), stop)))


def _wait_for_line(stop: Event) -> None:
    sys.stdin.readline()
    stop.set()


def _watch(tokens: list[str], stop: Event) -> dict[str, object]:
    good_until = dict.fromkeys(tokens, 0.0)
    from_memory: set[str] = set()
    calls, is_ready = 0, False
    while not stop.is_set():
        for token in tokens:
            began = time.monotonic()
            if _is_good(token, from_memory):
                good_until[token] = began
        calls += len(tokens)
        time.sleep(PAUSE)
        if not is_ready and len(from_memory) == len(tokens):
            is_ready = True
            _say("ready")
    return {"good_until": good_until, "calls": calls}


def _is_good(token: str, from_memory: set[str]) -> bool:
    from django.utils import timezone

    from apitokens.verification.refusals import Refused
    from apitokens.verification.verify import verify, verify_from_cache

    at = timezone.now()
    try:
        if verify_from_cache(presented=token, at=at) is not None:
            from_memory.add(token)
        else:
            verify(presented=token, at=at)
    except Refused:
        return False
    return True


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
