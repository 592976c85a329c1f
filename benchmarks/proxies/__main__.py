"""`make bench-proxies`: what it costs five proxies to ask about the token of each request.

Each stands with its file of examples/proxies in front of a service (nginx, which answers 200 and
does nothing), and asks a portal that granian serves. "Open" are preflights, about which the same
proxies with the same files ask nobody. All take turns. Needs nginx, haproxy and wrk of the system.
"""

import argparse
import contextlib
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.verify import wrk
from benchmarks.verify.load import CONNECTIONS, client_name
from benchmarks.verify.report import machine
from benchmarks.verify.running import NGINX, ROOT, nginx_path
from benchmarks.verify.wrk import Load, typical
from tests import environment
from tests.examples import proxies
from tests.portal import GRANIAN, free_port, served_portal

SCRIPTS = {
    "open": """
wrk.method = "OPTIONS"
wrk.headers["Origin"] = "https://app.example.com"
wrk.headers["Access-Control-Request-Method"] = "GET"
""",
    "asking": 'wrk.headers["Authorization"] = "APIKey {token}"',
}
TEXT = """\
# What it costs a proxy to ask

Written by `make bench-proxies` on {date}. The ratios travel, the absolute figures do not.

| | open, requests/s | p99, ms | asking, requests/s | from – to | p99, ms | × |
|---|---:|---:|---:|---:|---:|---:|
{lines}

- Each proxy has its file of `examples/proxies`. The service behind it is nginx, which answers 200
  and does nothing: a real one takes longer, and the ratio is nearer to 1.
- **Open** are preflights, about which the same proxy asks nobody.
- **×** is asking divided by open. Proxy, portal (granian, 2 workers), service and client share the
  machine's cores.
- The middle one of {rounds} rounds in which all took turns; {connections} connections.

{machine}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.proxies", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each turn")
    parser.add_argument("--no-write", dest="write", action="store_false", help="only print")
    options = parser.parse_args()
    environment.forget_own_portal()
    found: dict[tuple[str, str], list[Load]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="permatoken-bench-")))
        service = stack.enter_context(_service(folder))
        server = (*GRANIAN, "--workers", "2", "--no-ws", "config.wsgi:application")
        portal = stack.enter_context(served_portal(folder / "data", server=server, TOKEN_RATE="0"))
        token = portal.shell.command(
            *("issue_token", "--account", "Example Inc.", "--issuer", "admin@example.com"),
            *("--role", "Administrators", "--name", "Proxy"),
        ).split()[-1]
        portal_port = int(portal.url.rpartition(":")[2])
        for _turn in range(options.rounds):
            for name in proxies.NAMES:
                if proxies.path_of(name) is None:
                    continue
                with proxies.proxy(name, portal_port=portal_port, service_port=service) as port:
                    for kind, script in SCRIPTS.items():
                        carried = _measure(port, script.replace("{token}", token), options.seconds)
                        _say(f"{name}, {kind}: {carried.rate:,.0f}")
                        found[name, kind].append(carried)
    text = TEXT.format(
        date=datetime.now(UTC).strftime("%d %B %Y").lstrip("0"),
        lines="\n".join(_line(name, found) for name in proxies.NAMES if (name, "open") in found),
        rounds=options.rounds,
        connections=CONNECTIONS,
        machine="\n".join(f"- {each}" for each in [*machine(), client_name()]),
    )
    _say(text)
    if options.write:
        (ROOT / "benchmarks" / "proxies" / "RESULTS.md").write_text(text)


@contextlib.contextmanager
def _service(folder: Path) -> Iterator[int]:
    port, file = free_port(), folder / "service.conf"
    file.write_text(NGINX.format(folder=folder, port=port))
    command = [nginx_path() or "nginx", "-p", str(folder), "-c", str(file)]
    with proxies.running(command, port, folder=str(folder)):
        yield port


def _measure(port: int, script: str, seconds: int) -> Load:
    """What is carried after a second in which everything warms up."""
    address = f"http://127.0.0.1:{port}/"
    for duration in (1, seconds):
        load = wrk.run(address, script, seconds=duration, connections=CONNECTIONS)
    assert not load.refused, load
    return load


def _line(name: str, found: dict[tuple[str, str], list[Load]]) -> str:
    open_, asking = typical(found[name, "open"]), typical(found[name, "asking"])
    rates = [each.rate for each in found[name, "asking"]]
    return (
        f"| {name} | {open_.rate:,.0f} | {open_.p99_ms:.1f} | {asking.rate:,.0f} "
        f"| {min(rates):,.0f} – {max(rates):,.0f} | {asking.p99_ms:.1f} "
        f"| {asking.rate / open_.rate:.2f} |"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
