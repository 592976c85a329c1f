"""Asked of the web entry itself: Django breaks at these before its handling of errors begins."""

from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from config.wsgi import application


@pytest.mark.parametrize("charset", ["rot13", "zlib", "hex", "utf-16", "x", "", '"rot13"'])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_charset_of_a_body_does_not_trouble_the_query(kind: str, charset: str) -> None:
    environ: dict[str, Any] = {
        "PATH_INFO": "/iam/nothing",
        "QUERY_STRING": "role=Users",
        "CONTENT_TYPE": f"{kind}; charset={charset}",
    }
    setup_testing_defaults(environ)
    said: list[str] = []
    list(application(environ, lambda status, _headers: said.append(status)))
    assert said == ["404 Not Found"]
