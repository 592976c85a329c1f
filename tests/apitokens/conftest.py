"""A portal that is served as to everybody, for tests that look from outside."""

from collections.abc import Iterator

import pytest

from tests.portal import Portal, served_portal


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """It has the demo's data, and tells everything it can to its log."""
    with served_portal(tmp_path_factory.mktemp("data"), LOG_LEVEL="DEBUG") as served:
        yield served
