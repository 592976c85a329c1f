"""`make bench-scale`: fills a portal with five million events, and measures what could grow with
them.

Writes benchmarks/scale/RESULTS.md, with the figures from before the portal was bounded beside them,
and ends with an error if anything is above its bound.
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack

from benchmarks.scale import server
from tests import environment, services


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="Of the data: 0.1 is a tenth.")
    parser.add_argument("--database", help="A filled database, which is measured as it is.")
    parser.add_argument("--fill", action="store_true", help="Fill the --database first.")
    parser.add_argument("--json", help="Write the figures into this file, and no RESULTS.md.")
    parser.add_argument("--pages-only", action="store_true", help="No exports, commands or tasks.")
    options = parser.parse_args()
    environment.forget_own_portal()
    with ExitStack() as stack:
        data_dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="permatoken-bench-"))
        database = options.database or stack.enter_context(server.postgresql())
        os.environ.update(
            DATA_DIR=data_dir,
            DATABASE_URL=database,
            REDIS_URL=stack.enter_context(services.redis()),
            LOG_LEVEL="ERROR",
            METRICS_TOKEN=server.METRICS,
            DJANGO_SETTINGS_MODULE="config.settings",
        )
        _prepare(options)
        sys.exit(_measure(options))


def _prepare(options: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.utils import timezone

    from benchmarks.scale.data import seed

    settings.ALLOWED_HOSTS = ["*"]
    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)
    if options.database and not options.fill:
        return
    sizes = seed.Sizes().part(options.share)
    _say(f"Making {sizes.tokens:,} tokens and {sizes.events:,} audit events…")
    began = time.perf_counter()
    seed.fill(sizes, at=timezone.now())
    _say(f"Made in {time.perf_counter() - began:,.0f} s.")


def _measure(options: argparse.Namespace) -> int:
    from benchmarks.scale import plans, report, runs
    from benchmarks.scale.data.seed import Sizes

    found, sizes = [], Sizes().part(options.share)
    for figures in runs.everything(sizes, only_pages=options.pages_only):
        _say(report.line(figures))
        found.append(figures)
    if options.json:
        report.keep(found, options.json)
    else:
        report.write(found, share=options.share)
        plans.write(runs.mended(sizes))
    above = [figures for figures in found if figures.failures]
    for figures in above:
        _say(f"{figures.who}, {figures.name}: {'; '.join(figures.failures)}")
    _say(f"{len(found)} figures, {len(above)} above their bound.")
    return 1 if above else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
