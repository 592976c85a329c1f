"""A person's browser at a served portal, as far as fetching pages goes."""

import re
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

PASSWORD = "permatoken-demo"


class Visitor:
    """Somebody who has signed in, or nobody yet."""

    def __init__(self, url: str) -> None:
        self.url, self.cookies = url, CookieJar()
        self._browser = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.cookies), _AnyStatus()
        )

    @property
    def cookie(self) -> str:
        """The header `Cookie`."""
        return "; ".join(f"{each.name}={each.value}" for each in self.cookies)

    def page(self, path: str) -> str:
        """The page at this path, whatever its status."""
        with self._browser.open(self.url + path) as answer:
            content: bytes = answer.read()
        return content.decode()

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page("/sign-in/"))
        assert found is not None
        form = {"csrfmiddlewaretoken": found[1], "login": email, "password": password}
        self._browser.open(f"{self.url}/sign-in/", urlencode(form).encode()).close()


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Takes an error's page for a page, and follows redirects."""

    def http_response(self, request, response):  # type: ignore[no-untyped-def]  # as the base
        is_error = response.status >= 400
        return response if is_error else super().http_response(request, response)
