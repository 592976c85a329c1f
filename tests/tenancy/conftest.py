from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from notifications.health import report
from tests.tenancy.fixture import TenancyFixture, build


@pytest.fixture(scope="module")
def tenancy(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[TenancyFixture]:
    """One fixture for hundreds of tests, which roll back what they do."""
    tomorrow = timezone.now() + timedelta(days=1)
    with (
        django_db_blocker.unblock(),
        transaction.atomic(),
        pytest.MonkeyPatch.context() as patch,
    ):
        # However long the tests take, /healthz does not report a missing worker, and nobody has to
        # re-authenticate.
        patch.setattr(report.health, "__kwdefaults__", {"started_at": tomorrow})
        patch.setattr(settings, "ACCOUNT_REAUTHENTICATION_TIMEOUT", 24 * 3600)
        yield build()
        transaction.set_rollback(True)
