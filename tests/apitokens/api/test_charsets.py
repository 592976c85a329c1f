"""What a client calls the charset of its body, Django believes of the query too, and may break."""

from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.handlers.wsgi import WSGIRequest

from config.wsgi import application, utf_8_only

CHARSETS = ["rot13", "zlib", "hex", "utf-16", "latin-1", "x", "", '"rot13"']
SPELLINGS = [
    *(" ; charset = rot13", ";charset\t=rot13", "; CHARSET=rot13", "; charset*=rot13"),
    *("; charset*0=rot13", "; charset*0*=rot13", "; x*=bogus''a", "; x*=idna''%ff"),
]
"""Parameters, as Python reads them (RFC 2231)."""


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


@pytest.mark.parametrize("parameters", SPELLINGS)
def test_query_is_read_as_utf_8_however_that_is_spelled(parameters: str) -> None:
    environ: dict[str, Any] = {
        "QUERY_STRING": "role=%C3%84lteste",
        "CONTENT_TYPE": f"text/plain{parameters}",
    }
    setup_testing_defaults(environ)
    assert list(utf_8_only(read_role)(environ, None)) == ["Älteste".encode()]


@pytest.mark.parametrize("query", ["role=ж", "role=ж".encode().decode("latin-1")])
def test_query_that_is_not_quoted_is_read_as_utf_8(query: str) -> None:
    environ: dict[str, Any] = {"QUERY_STRING": query}
    setup_testing_defaults(environ)
    assert list(utf_8_only(read_role)(environ, None)) == ["ж".encode()]


@pytest.mark.parametrize("spelling", ["boundary=abc", 'boundary="a b"', "Boundary = abc"])
def test_boundary_of_a_body_stays(spelling: str) -> None:
    environ: dict[str, Any] = {"CONTENT_TYPE": f"multipart/form-data; charset=x; {spelling}; y=z"}
    utf_8_only(lambda _environ, _start_response: [])(environ, None)
    assert environ["CONTENT_TYPE"] == f"multipart/form-data; {spelling}"


@pytest.mark.django_db
@pytest.mark.parametrize("coding", ["", "chunked"])
@pytest.mark.parametrize("parameters", SPELLINGS)
def test_request_is_answered_whatever_its_parameters_are(parameters: str, coding: str) -> None:
    """By Django, and not by what stands in for it when it breaks."""
    environ: dict[str, Any] = {
        "PATH_INFO": "/iam/clients/1/tokens",
        "QUERY_STRING": "role=Users",
        "CONTENT_TYPE": f"application/json{parameters}",
        "HTTP_HOST": "localhost",
        "HTTP_TRANSFER_ENCODING": coding,
        "wsgi.input_terminated": True,
    }
    setup_testing_defaults(environ)
    answered: list[str] = []
    b"".join(application(environ, lambda status, *_facts: answered.append(status)))
    assert answered == ["401 Unauthorized"]
