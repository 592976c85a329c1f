"""What a client calls the charset of its body, Django believes of the query too, and may break."""

from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.handlers.wsgi import WSGIRequest

from config.wsgi import utf_8_only

CHARSETS = ["rot13", "zlib", "hex", "utf-16", "latin-1", "x", "", '"rot13"']


def read_role(environ: dict[str, Any], _start_response: object) -> Iterable[bytes]:
    """The least that can be served: what the query says of the role."""
    return [WSGIRequest(environ).GET["role"].encode()]


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_query_is_read_as_utf_8_whatever_the_body_is(kind: str, charset: str) -> None:
    environ: dict[str, Any] = {
        "QUERY_STRING": "role=%C3%84lteste",
        "CONTENT_TYPE": f"{kind}; charset={charset}",
    }
    setup_testing_defaults(environ)
    assert list(utf_8_only(read_role)(environ, None)) == ["Älteste".encode()]


def test_what_else_is_said_of_a_body_stays() -> None:
    environ: dict[str, Any] = {"CONTENT_TYPE": "multipart/form-data; charset=x; boundary=abc"}
    utf_8_only(lambda _environ, _start_response: [])(environ, None)
    assert environ["CONTENT_TYPE"] == "multipart/form-data; boundary=abc"
