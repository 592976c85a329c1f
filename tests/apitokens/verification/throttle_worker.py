"""`python -m tests.apitokens.verification.throttle_worker`: a process that counts refusals as it is
told.

Reads lines `<seconds> <times>`: at this second of the minute an address is refused so many times.
Answers each line with how many of them were told to wait.
"""

import sys
from datetime import UTC, datetime, timedelta

import django

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ADDRESS = "192.0.2.7"


def main() -> None:
    django.setup()
    for line in sys.stdin:
        seconds, times = line.split()
        at = NOON + timedelta(seconds=float(seconds))
        sys.stdout.write(f"{sum(_is_told_to_wait(at) for _time in range(int(times)))}\n")
        sys.stdout.flush()


def _is_told_to_wait(at: datetime) -> bool:
    from accounts.throttling import process_counters

    try:
        process_counters.count_refusal(ADDRESS, at=at)
    except process_counters.TooMany:
        return True
    return False


if __name__ == "__main__":
    main()
