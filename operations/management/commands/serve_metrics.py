"""`manage.py serve_metrics`: the metrics of this machine's processes, on a port of their own."""

import argparse
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from prometheus_client import start_http_server

from operations.metrics.exposition import everything


class Command(BaseCommand):
    help = (
        "Serves the metrics of all processes that share DATA_DIR at /metrics, until it is stopped. "
        "Anybody who reaches the port can read them: let that be Prometheus alone."
    )
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=9464)
        parser.add_argument("--host", default="127.0.0.1", help="The address to listen at.")

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        try:
            start_http_server(port, host, registry=everything)
        except (OSError, OverflowError) as error:
            raise CommandError(f"Can't listen at {host}, port {port}: {error}") from None
        self.stdout.write(f"Metrics are at http://{host}:{port}/metrics. Stop with Ctrl-C.")
        self.stdout.flush()
        stopped = threading.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_facts: stopped.set())
        stopped.wait()
