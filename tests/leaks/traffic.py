"""A browser that notes the secrets of what it sends and gets, and the errors that it is shown."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client
from django.test.client import ClientHandler

from accounts.appearance import themes
from apitokens.pages.creation import drafts
from config import middleware
from config.fast_path.shortcut import shortcut
from config.observability.requests import observe_requests
from config.server.faults import answer_faults

SECRET_FIELDS = {
    *("password", "password1", "password2", "oldpassword", "old_password", "one_time_password"),
    *("new_password", "new_password1", "new_password2", "code", "key", "secret"),
    *("token", "client_secret", "access", "refresh", "credential", "SAMLResponse"),
}
"""Of forms, bodies and answers."""
SECRET_COOKIES = {
    *(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME),
    *(settings.KNOWN_BROWSER_COOKIE_NAME, "arrival"),
}
PUBLIC_COOKIES = {
    settings.LANGUAGE_COOKIE_NAME: "a choice",
    themes.COOKIE: "a choice",
    drafts.COOKIE: "what a person has typed, for their own browser",
    middleware.SECRET_REMOVED: "that something was taken out of an address",
    "messages": "what the next page says",
}
"""What is no secret, and what it is."""
LONG = 40
TAIL = 20
"""What a long secret is known by: its end, which signs the rest of it."""


class Planted:
    """The secrets that are about, by kind."""

    def __init__(self) -> None:
        self.by_kind: dict[str, set[str]] = {}
        self.error_pages: list[tuple[int, str]] = []
        self.unknown_cookies = set[str]()

    def add(self, kind: str, secret: str) -> None:
        """Plant one. Of a token its secret part, of what is signed the end of it."""
        known = re.split(r"[$_]", secret)[-1] if re.match(r"^\w*\d[$_][0-9a-f]", secret) else secret
        known = known.rstrip("/=")
        self.by_kind.setdefault(kind, set()).add(known[-TAIL:] if len(known) > LONG else known)

    def in_text(self, text: str) -> set[str]:
        """The kinds of which a secret stands in the text. A short one counts as a word only."""
        words = set(re.findall(r"[\w+/-]+", text))
        return {
            kind
            for kind, secrets in self.by_kind.items()
            for secret in secrets
            if (secret in words if len(secret) <= 10 else secret in text)
        }


class WatchedBrowser(Client):
    """Plants every secret that it sends or gets."""

    def __init__(self, planted: Planted, **facts: Any) -> None:
        super().__init__(raise_request_exception=False, **facts)
        self.planted = planted

    def post(self, path: Any, data: Any = None, *facts: Any, **more: Any) -> Any:
        if isinstance(data, dict):
            self._plant(data)
        return super().post(path, data, *facts, **more)

    def request(self, **environ: Any) -> Any:
        scheme, _, credential = {**self.defaults, **environ}.get(
            "HTTP_AUTHORIZATION", ""
        ).partition(" ")
        if credential:
            self.planted.add(f"{scheme} of a header", credential)
        answer: Any = super().request(**environ)
        for name, cookie in answer.cookies.items():
            names = {name, name.rpartition("-")[0]}
            if cookie.value and SECRET_COOKIES & names:
                self.planted.add(f"cookie {name}", cookie.value)
            elif cookie.value and not PUBLIC_COOKIES.keys() & names:
                self.planted.unknown_cookies.add(name)
        if "json" in answer.get("Content-Type", "") and answer.status_code == 200:
            said = answer.json()
            self._plant(said if isinstance(said, dict) else {})
        # A form that is shown again has what its person typed.
        is_form = answer.status_code == 400 and "html" in answer.get("Content-Type", "")
        if answer.status_code >= 400 and not is_form:
            self.planted.error_pages.append((answer.status_code, answer.content.decode()))
        return answer

    def _plant(self, facts: dict[str, Any]) -> None:
        for name in SECRET_FIELDS & facts.keys():
            if isinstance(facts[name], str) and len(facts[name]) > 5:
                self.planted.add(name, facts[name])


@contextmanager
def whole_way() -> Iterator[None]:
    """Meanwhile requests of test clients pass all that stands in front of Django, and is counted
    and logged there."""
    ask_django = ClientHandler.__call__

    def answer(handler: ClientHandler, environ: dict[str, Any]) -> HttpResponse:
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read())
        asked: list[Any] = []
        told: list[Any] = []

        def django(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            asked.append(ask_django(handler, environ))
            start_response(f"{asked[-1].status_code} Of Django", list(asked[-1].items()))
            return [b"" if asked[-1].streaming else asked[-1].content]

        serve = shortcut(observe_requests(answer_faults(django)))
        body = b"".join(serve(environ, lambda *facts: told.extend(facts)))
        if asked:
            return asked[-1]  # type: ignore[no-any-return]
        status, headers, *_more = told
        response = HttpResponse(body, status=int(status[:3]), headers=dict(headers))
        response.wsgi_request = WSGIRequest(environ)  # type: ignore[attr-defined]  # the client's
        return response

    with patch.object(ClientHandler, "__call__", answer):
        yield
