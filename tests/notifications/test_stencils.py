"""Stencils say what their templates would have said."""

from collections.abc import Sequence

import pytest
from django.template.loader import render_to_string
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from apitokens.expiry_mail import _context
from notifications.stencils import fill, on_few_lines

HTML, TEXT = "emails/token_expiring/token.html", "emails/token_expiring/token.txt"
ODD = ["", "<b>&amp;</b>", 'it\'s "quoted"', "\ue0001\ue001", "{{ name }}", "%s", "نسخة", "🔑"]
words = st.lists(
    st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]))),
    min_size=9,
    max_size=9,
)


def rendered(template: str, said: Sequence[str]) -> str:
    text = render_to_string(template, _context(said))
    return on_few_lines(text) if template == HTML else text


@given(said=words)
@pytest.mark.parametrize("template", [HTML, TEXT])
def test_stencil_says_what_the_template_says(template: str, said: list[str]) -> None:
    assert fill(template, said, _context) == rendered(template, said)


@pytest.mark.parametrize("template", [HTML, TEXT])
def test_stencil_of_one_language_is_not_used_in_another(template: str) -> None:
    said = ["Backup", "2 Tagen", *["x"] * 7]
    for language in ("en", "de", "en"):
        with translation.override(language):
            assert fill(template, said, _context) == rendered(template, said)
    with translation.override("de"):
        assert "Expires in" not in fill(template, said, _context)
