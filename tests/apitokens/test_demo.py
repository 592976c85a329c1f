"""The demo is consistent: what one part of a page says, another does not deny."""

from datetime import datetime

import pytest

from apitokens.demo.seed import seed
from apitokens.models import OldSecret

pytestmark = pytest.mark.django_db


def test_address_of_the_old_secret_is_among_those_of_its_token(now: datetime) -> None:
    seed(at=now)
    old = OldSecret.objects.get()
    addresses = list(old.token.addresses.all())
    assert old.last_used_address in {each.address for each in addresses}
