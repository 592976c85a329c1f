"""Words in backticks are code on pages."""

import pytest
from django.test import Client

from config.html.inline_code import inline_code


def test_quoted_words_are_code_and_all_else_is_escaped() -> None:
    assert inline_code("Send `a<b` & c") == "Send <code>a&lt;b</code> &amp; c"


@pytest.mark.django_db
def test_documentation_shows_no_backtick(client: Client) -> None:
    page = client.get("/iam/docs").content.decode()
    assert "<code>old_secret_hours</code>" in page
    assert "`" not in page
