"""Hooks: a lower app declares a function, a higher one implements it."""

from types import ModuleType

import pytest

from accounts.authorization import sso_hooks, token_hooks
from notifications import recipients
from notifications.health import report
from notifications.hooks import Hook


@Hook
def add(one: int, other: int) -> int:
    """The sum."""
    raise NotImplementedError


@pytest.fixture
def hook() -> Hook[[int], int]:
    @Hook
    def double(number: int) -> int:
        raise NotImplementedError

    return double


def test_hook_calls_what_was_registered(hook: Hook[[int], int]) -> None:
    hook.register(lambda number: 2 * number)
    assert hook(21) == 42


def test_registering_gives_the_function_back(hook: Hook[[int], int]) -> None:
    @hook.register
    def double(number: int) -> int:
        return 2 * number

    assert double(4) == 8


def test_hook_without_an_implementation_says_which_one_is_missing() -> None:
    with pytest.raises(RuntimeError, match=r"No app has registered tests.*test_hooks\.add\."):
        add(1, 2)


def test_second_registration_is_refused(hook: Hook[[int], int]) -> None:
    hook.register(lambda number: number)
    with pytest.raises(RuntimeError, match="is registered already"):
        hook.register(lambda number: 3 * number)
    assert hook(5) == 5


@pytest.mark.parametrize("module", [sso_hooks, token_hooks, recipients, report])
def test_all_hooks_are_registered_when_the_apps_are_ready(module: ModuleType) -> None:
    hooks = [value for value in vars(module).values() if isinstance(value, Hook)]
    assert hooks
    for each in hooks:
        with pytest.raises(RuntimeError, match="is registered already"):
            each.register(lambda *_args: None)
