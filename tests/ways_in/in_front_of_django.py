"""Requests of Django's test client, answered by what stands in front of Django where it can."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, NamedTuple
from unittest.mock import patch

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test.client import ClientHandler

from config.fast_path.shortcut import shortcut


class Answered(NamedTuple):
    outcome: str
    by_django: bool
    """Whether Django was asked for any of it."""


def in_front_of_django(attempt: Callable[[], str]) -> Answered:
    """What comes of an attempt whose requests take the short way."""
    asked: list[Any] = []
    ask_django = ClientHandler.__call__

    def answer(handler: ClientHandler, environ: dict[str, Any]) -> HttpResponse:
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read())
        told: list[Any] = []

        def django(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            asked.append(ask_django(handler, environ))
            start_response(f"{asked[-1].status_code} Of Django", list(asked[-1].items()))
            return [asked[-1].content]

        body = shortcut(django)(environ, lambda *facts: told.extend(facts))
        status, headers, *_more = told
        response = HttpResponse(b"".join(body), status=int(status[:3]), headers=dict(headers))
        response.wsgi_request = WSGIRequest(environ)  # type: ignore[attr-defined]  # the client's
        return response

    with patch.object(ClientHandler, "__call__", answer):
        outcome = attempt()
    return Answered(outcome, bool(asked))
