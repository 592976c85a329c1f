from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.tenancy.fixture import TenancyFixture, build
from tests.tenancy.probe import made_once


@pytest.fixture(scope="module")
def tenancy(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[TenancyFixture]:
    """One fixture for hundreds of tests."""
    with made_once(django_db_blocker):
        yield build()
