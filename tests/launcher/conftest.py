"""The portal started as a newcomer does it."""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests import services
from tests.launcher.portal import READY, RunningPortal, started
from tests.portal import prepared


@pytest.fixture
def port() -> int:
    return services.free_port()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "var"


@pytest.fixture
def used_data_dir(tmp_path: Path) -> Path:
    """The data of a portal that has the demo: on nothing a start takes twice as long."""
    return shutil.copytree(prepared(), tmp_path / "used")


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """The environment of the scaled shape, if this run is on PostgreSQL; else nothing."""
    server = os.environ.get("TEST_DATABASE_URL")
    redis = os.environ.get("TEST_REDIS_URL")
    if not (server and redis):
        yield {}
        return
    name = f"run_{secrets.token_hex(8)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield {
            "DATABASE_URL": urlsplit(server)._replace(path=f"/{name}").geturl(),
            "REDIS_URL": urlsplit(redis)._replace(path="/15").geturl(),
        }
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def portal(
    servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningPortal]:
    """A portal that was started on nothing, and is ready."""
    data_dir = tmp_path_factory.mktemp("first-start") / "var"
    with started(data_dir, port=services.free_port(), **servers) as running:
        running.wait_for(READY)
        yield running
