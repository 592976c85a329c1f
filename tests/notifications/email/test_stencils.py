"""Stencils say what their templates would have said."""

from collections.abc import Sequence

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import get_language
from hypothesis import given
from hypothesis import strategies as st

from accounts.roles import Role
from apitokens.expiry.emails import _context
from notifications.email.stencils import fill_both, on_few_lines

TEMPLATE = "emails/token_expiring/token"
FACTS = (Role.USERS.value, True)
ODD = ["", "<b>&amp;</b>", 'it\'s "quoted"', "\ue0001\ue001", "{{ name }}", "%s", "نسخة", "🔑"]
words = st.lists(
    st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]))),
    min_size=7,
    max_size=7,
)


def rendered(said: Sequence[str]) -> tuple[str, str]:
    text, html = (
        render_to_string(f"{TEMPLATE}.{end}", _context(said, *FACTS)) for end in ("txt", "html")
    )
    return text, on_few_lines(html)


@given(said=words)
def test_stencil_says_what_the_template_says(said: list[str]) -> None:
    assert fill_both(TEMPLATE, said, _context, get_language(), FACTS) == rendered(said)


def test_stencil_of_one_language_is_not_used_in_another() -> None:
    said = ["Backup", "2 Tagen", *["x"] * 5]
    for language in ("en", "de", "en"):
        with translation.override(language):
            assert fill_both(TEMPLATE, said, _context, get_language(), FACTS) == rendered(said)
    with translation.override("de"):
        parts = fill_both(TEMPLATE, said, _context, get_language(), FACTS)
    assert not any("Expires in" in part for part in parts)
