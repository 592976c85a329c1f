"""Controls are valid HTML, whatever was typed into them."""

import re
from datetime import date

import pytest
from django import forms
from django.test import Client

from accounts.models import Membership
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID

CONTROLS = re.compile(r"<input[^>]*>")


class Example(forms.Form):
    """A field of each sort that shows what was sent."""

    name = forms.CharField()
    description = forms.CharField(widget=forms.Textarea)
    ends_on = forms.DateField(initial=date(2030, 1, 1), show_hidden_initial=True)


def test_hidden_field_beside_a_mistake_has_nothing_that_is_read_aloud() -> None:
    drawn = str(Example({"ends_on": "never"}))
    hidden = [each for each in CONTROLS.findall(drawn) if 'type="hidden"' in each]
    assert len(hidden) == 1
    assert "aria-" not in hidden[0]
    assert 'aria-invalid="true"' in drawn


def test_no_control_shows_a_nul() -> None:
    drawn = str(Example({"name": "A\0B", "description": "C\0D", "ends_on": "\0"}))
    assert "A\N{REPLACEMENT CHARACTER}B" in drawn
    assert "C\N{REPLACEMENT CHARACTER}D" in drawn
    assert "\0" not in drawn


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["api-tokens/?q=%00", "users/?q=%00", "audit-log/?person=%00"])
def test_no_list_shows_a_nul(
    client: Client, administrator: Membership, sign_in: SignIn, path: str
) -> None:
    sign_in(client, administrator)
    page = client.get(f"/accounts/{ACCOUNT_ID}/{path}").content
    assert b"<html" in page
    assert b"\0" not in page
