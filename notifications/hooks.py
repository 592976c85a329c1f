"""Hooks: a lower app declares a function, and a higher app registers its implementation."""

from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Hook(Generic[P, R]):
    """A function that another app implements. Decorates its declaration, which is never called.

    The implementation is registered at start, when the apps are ready. Calling a hook without one,
    and registering a second one, are faults of the program: both raise `RuntimeError`.
    """

    def __init__(self, declaration: Callable[P, R]) -> None:
        self.__doc__ = declaration.__doc__
        self._name = f"{declaration.__module__}.{declaration.__qualname__}"
        self._implementation: Callable[P, R] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._implementation is None:
            raise RuntimeError(f"No app has registered {self._name}.")
        return self._implementation(*args, **kwargs)

    def register(self, implementation: Callable[P, R]) -> Callable[P, R]:
        """Call this function from now on. Works as a decorator."""
        if self._implementation is not None:
            raise RuntimeError(f"{self._name} is registered already.")
        self._implementation = implementation
        return implementation
