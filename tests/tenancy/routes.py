"""All routes of the portal, read from its URL configuration."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.tenancy.fixture import PKS, TenancyFixture

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
METHODS_OF_PAGES = ("GET", "POST")
"""Methods of browsers; others are refused by the check that test_csrf tests."""

UNUSED_ID = 99_999_999
"""An id that no row has."""


class Route(NamedTuple):
    """A route by its full name, with the arguments of its address."""

    name: str
    arguments: tuple[str, ...]

    @property
    def is_call(self) -> bool:
        """True for a call of the API."""
        return self.name == "openapi" or (self.name.startswith("api-") and self.name != "api-docs")

    @property
    def methods(self) -> tuple[str, ...]:
        return METHODS if self.is_call else METHODS_OF_PAGES

    def address(self, tenancy: TenancyFixture) -> str:
        """The address of the engineer's objects."""
        return self._filled({name: self._argument(name, tenancy) for name in self.arguments})

    def address_of_nothing(self, tenancy: TenancyFixture, *, but: Iterable[str] = ()) -> str:
        """The same with unused ids, except for the arguments named."""
        return self._filled(
            {
                name: self._argument(name, tenancy) if name in but or not is_id(name) else UNUSED_ID
                for name in self.arguments
            }
        )

    def _argument(self, name: str, tenancy: TenancyFixture) -> Any:
        if name == "user_id" and self.name.endswith("_service_account"):
            return tenancy.service_account.membership.user_id
        if name not in ("pk", "object_id"):
            return tenancy.arguments()[name]
        return next(pick(tenancy) for start, pick in PKS.items() if self.name.startswith(start))

    def _filled(self, values: dict[str, Any]) -> str:
        return reverse(self.name, kwargs=values)


def routes() -> list[Route]:
    """All named routes; the admin's two nameless ones only redirect."""
    return list(_walk(get_resolver().url_patterns, "", ()))


def all_patterns() -> list[URLPattern]:
    return list(_patterns(get_resolver().url_patterns))


def nameless() -> list[str]:
    return [str(pattern.pattern) for pattern in all_patterns() if pattern.name is None]


def _walk(patterns: Any, namespace: str, outer: tuple[str, ...]) -> Iterator[Route]:
    for pattern in patterns:
        arguments = (*outer, *pattern.pattern.regex.groupindex)
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern.url_patterns, inner, arguments)
        elif pattern.name is not None:
            yield Route(f"{namespace}{pattern.name}", arguments)


def _patterns(patterns: Any) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


def is_id(name: str) -> bool:
    """True for an argument that is the id of a row."""
    return name in ("pk", "object_id") or name.endswith("_id")
