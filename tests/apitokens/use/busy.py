"""`python -m tests.apitokens.use.busy TOKEN`: a process that uses a token all the time, and writes
on its standard output when it did, until somebody ends it."""

import os
import sys
import time

import django


def main(token_id: int) -> None:
    django.setup()
    from django.utils import timezone

    from apitokens.use import end_in_peace_on_sigterm, remember

    end_in_peace_on_sigterm()
    while True:
        at = timezone.now()
        remember(token_id=token_id, at=at, address="192.0.2.1")
        os.write(1, f"{at.isoformat()}\n".encode())
        time.sleep(0.002)


if __name__ == "__main__":
    main(int(sys.argv[1]))
