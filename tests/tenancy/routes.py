"""Every address that the portal knows, read from its URL configuration."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.tenancy.accounts import PKS, World

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
METHODS_OF_PAGES = ("GET", "POST")
"""What browsers send; other methods are kept away by the check that test_csrf tests."""

NOBODYS = 99_999_999
"""An id that nothing has."""


class Route(NamedTuple):
    """A route by its full name, with what its address leaves open."""

    name: str
    arguments: tuple[str, ...]

    @property
    def is_call(self) -> bool:
        """True for a call of the API."""
        return self.name == "openapi" or (self.name.startswith("api-") and self.name != "api-docs")

    @property
    def methods(self) -> tuple[str, ...]:
        return METHODS if self.is_call else METHODS_OF_PAGES

    def address(self, world: World) -> str:
        """Where it leads to the engineer's things."""
        return self._filled({name: self._thing(name, world) for name in self.arguments})

    def address_of_nothing(self, world: World, *, but: Iterable[str] = ()) -> str:
        """The same with ids that nothing has, but for the arguments named."""
        return self._filled(
            {
                name: self._thing(name, world) if name in but or not is_id(name) else NOBODYS
                for name in self.arguments
            }
        )

    def _thing(self, name: str, world: World) -> Any:
        if name not in ("pk", "object_id"):
            return world.things()[name]
        return next(pick(world) for start, pick in PKS.items() if self.name.startswith(start))

    def _filled(self, values: dict[str, Any]) -> str:
        return reverse(self.name, kwargs=values)


def routes() -> list[Route]:
    """All of them that have a name; the admin's two nameless ones only redirect to others."""
    return list(_walk(get_resolver().url_patterns, "", ()))


def nameless() -> list[str]:
    return [
        str(pattern.pattern)
        for pattern in _patterns(get_resolver().url_patterns)
        if pattern.name is None
    ]


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
    """True for an argument that stands for a thing somebody has."""
    return name in ("pk", "object_id") or name.endswith("_id")
