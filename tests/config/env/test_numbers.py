"""Numbers, as operators write them."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env.numbers import parse_number


@pytest.mark.parametrize("text", ["1", "10", "120"])
def test_number_is_read(text: str) -> None:
    assert parse_number("EMAIL_TIMEOUT", text, highest=120) == int(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "121", "1.5", "ten", "٣", "9" * 5000])
def test_what_is_no_such_number_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"^EMAIL_TIMEOUT must be a number from 1 to 120, not '.*'\.$"
    ):
        parse_number("EMAIL_TIMEOUT", text, highest=120)
