"""Pages carry no indentation, and text keeps its white space."""

import pytest
from django.template import Template, engines
from django.template.loader import render_to_string
from django.test import Client

pytestmark = pytest.mark.django_db


def _template(name: str) -> Template:
    found: Template = engines["django"].engine.get_template(name)  # type: ignore[attr-defined]  # the stubs know no engine
    return found


def test_page_has_no_indentation(client: Client) -> None:
    lines = client.get("/iam/docs").content.decode().splitlines()
    indented = [line for line in lines if line.startswith((" ", "\t"))]
    assert len(indented) < len(lines) / 4, "of these only lines of code are left"


def test_plain_text_keeps_its_indentation() -> None:
    assert "  " in _template("emails/token_expiring/token.txt").source


def test_line_of_a_template_keeps_its_number() -> None:
    page = _template("layouts/base.html")
    with open(page.origin.name) as file:
        assert len(page.source.splitlines()) == len(file.read().splitlines())


def test_code_is_shown_as_it_is_written() -> None:
    code = "if x:\n    y()"
    assert code in render_to_string("api/code.html", {"code": code, "text": code, "value": code})
