"""`python -m tests.apitokens.usage.busy TOKEN [deaf]`: a process that uses a token all the time,
and writes to its standard output when it did, until it is ended. A deaf one goes on after every
exception, as some servers do."""

import contextlib
import os
import sys
import time

import django


def main(token_id: int, *, is_deaf: bool) -> None:
    django.setup()
    from django.utils import timezone

    from apitokens.usage.flusher import install_sigterm_flush, record_use

    install_sigterm_flush()
    unheard = (SystemExit,) if is_deaf else ()
    while True:
        with contextlib.suppress(*unheard):
            at = timezone.now()
            record_use(token_id=token_id, at=at, address="192.0.2.1")
            os.write(1, f"{at.isoformat()}\n".encode())
            time.sleep(0.01)


if __name__ == "__main__":
    main(int(sys.argv[1]), is_deaf="deaf" in sys.argv)
