"""`make load`: a mixed load for a time and at a rate, in both shapes.

Prints errors, latencies and the growth of memory, and ends with an error if there was any error, if
the portal did not keep up, or if memory went on growing.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.operations.mix import Mix
from benchmarks.operations.open_loop import Load, Tally
from benchmarks.operations.portal import Portal, running
from tests import services
from tests.portal import shell

WARM_UP = 0.2
"""Part of the time after which memory is looked at: by then all code and caches are there."""
MOST_GROWTH = 3.0
"""Per cent, from then to the end."""
LEAST_RATE = 0.98
"""Of the rate, for a load that was carried."""
MEASURED_EVERY = 10.0
"""Seconds."""
SEEDED = """
from django.utils import timezone
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, Membership
from apitokens.verification.verifier_keys import issue_verifier
from tests.factories import issue, service_account
Account.objects.filter(pk=1).update(token_limit=10_000)
member = Membership.objects.get(account_id=1, user__email="admin@example.com")
at, by = timezone.now(), Actor.operator(through=EntryPoint.COMMAND)
token = issue(member, at=at, role=member.held_role, name="Load").key.spell()
verifier = issue_verifier(name="Load", by=by, at=at).key.spell()
robot = service_account(member.account, at=at, name="Load", contact_email="load@example.com")
print(token, verifier, robot.membership.user_id)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.operations.load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=200, help="Requests a second.")
    parser.add_argument("--shape", choices=["embedded", "scaled", "both"], default="both")
    options = parser.parse_args()
    shapes = ["embedded", "scaled"] if options.shape == "both" else [options.shape]
    is_well = [_run(shape, seconds=options.seconds, rate=options.rate) for shape in shapes]
    sys.exit(0 if all(is_well) else 1)


@contextlib.contextmanager
def portal_in(shape: str, *, folder: Path | None = None, **environment: str) -> Iterator[Portal]:
    """The portal in this shape, on data that end with the block; in the `folder`, if given."""
    with contextlib.ExitStack() as stack:
        own = tempfile.TemporaryDirectory(prefix="permatoken-load-")
        folder = folder or Path(stack.enter_context(own))
        if shape == "scaled":
            environment |= {
                "DATABASE_URL": stack.enter_context(services.postgresql()),
                "REDIS_URL": stack.enter_context(services.redis()),
            }
        # Every client has the address of this machine: it is one, and would be limited as one.
        yield stack.enter_context(running(folder / "data", TOKEN_RATE="0", **environment))


def mix_for(portal: Portal) -> Mix:
    """What is asked, with a token and a verifier key of its own."""
    settings = {**portal.environment, "DJANGO_SETTINGS_MODULE": "config.settings"}
    with shell(settings) as beside:
        token, verifier, issuer = beside.run(SEEDED).split()
    return Mix(portal.url, token=token, verifier=verifier, issuer=int(issuer))


def _run(shape: str, *, seconds: float, rate: float) -> bool:
    _say(f"\n{shape}: {rate:g} requests a second for {seconds:g} seconds")
    with portal_in(shape) as portal:
        mix, memory = mix_for(portal), list[float]()
        load = Load(mix, rate=rate)
        began = time.monotonic()
        load.start()
        time.sleep(seconds * WARM_UP)
        steps = max(2, int(seconds * (1 - WARM_UP) / MEASURED_EVERY))
        for _step in range(steps):
            memory.append(portal.memory())
            time.sleep(seconds * (1 - WARM_UP) / steps)
        memory.append(portal.memory())
        load.stop()
        tallies, took = load.new_phase(), time.monotonic() - began
        status = portal.health()["status"]
    _tell(tallies)
    asked = sum(len(tally.seconds) for tally in tallies.values())
    bad = sum(tally.bad for tally in tallies.values())
    first, last = _thirds(memory)
    growth = 100 * (last / first - 1)
    _say(f"{asked:,} requests in {took:.0f} s ({asked / took:.0f}/s), {bad} errors")
    _say(f"Nobody was free to send {load.unsent:,} more when their moment came.")
    _say(f"Memory {first:.0f} MB, at the end {last:.0f} MB: {growth:+.1f} %. Health: {status}.")
    carried = not load.unsent and asked >= LEAST_RATE * rate * took
    return bad == 0 and carried and growth <= MOST_GROWTH and status == "ok"


def _tell(tallies: dict[str, Tally]) -> None:
    _say(f"{'':30} {'requests':>9} {'errors':>7} {'median':>8} {'p99':>8} {'longest':>8}  ms")
    for name, tally in tallies.items():
        figures = (len(tally.seconds), tally.bad, tally.median, *_late(tally))
        _say("{:30} {:9,} {:7,} {:8.1f} {:8.1f} {:8.1f}".format(name, *figures))
        if tally.bad:
            _say(f"{'':30} answered: {dict(tally.statuses)}")


def _late(tally: Tally) -> tuple[float, float]:
    return tally.percentile(0.99), tally.percentile(1.0)


def _thirds(memory: list[float]) -> tuple[float, float]:
    """The median of the first and of the last third."""
    size = max(1, len(memory) // 3)
    return statistics.median(memory[:size]), statistics.median(memory[-size:])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
