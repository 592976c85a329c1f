"""The decorator `requires`, for WSGI and ASGI applications and for views of Django and DRF."""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, NamedTuple, TypeVar

from permatoken import asgi, wsgi
from permatoken.errors import MISSING, ROLE_TOO_LOW, SCOPE_MISSING, WRONG_ACCOUNT, Refusal
from permatoken.token import ROLES, Token

F = TypeVar("F", bound=Callable[..., Any])


class _Requirement(NamedTuple):
    """What a token must be good for."""

    role: str | None
    scope: str | None
    account: int | None

    def refusal(self, token: Token | None) -> Refusal | None:
        if token is None:
            return MISSING
        if self.account is not None and token.account != self.account:
            return WRONG_ACCOUNT
        if self.role is not None and not token.covers(self.role):
            return ROLE_TOO_LOW
        is_enough = self.scope is None or token.has_scope(self.scope)
        return None if is_enough else SCOPE_MISSING


def requires(
    *, role: str | None = None, scope: str | None = None, account: int | None = None
) -> Callable[[F], F]:
    """Refuse requests whose token has a weaker role, is limited to other scopes, or belongs to
    another account. The middleware, or the authentication class of DRF, has to come first; without
    a token the answer is 401."""
    if role is not None and role not in ROLES:
        raise ValueError(f"There is no role {role!r}. Choose one of: {', '.join(ROLES)}.")

    needed = _Requirement(role, scope, account)

    def decorate(decorated: F) -> F:
        @wraps(decorated)
        def answer(*facts: Any, **more: Any) -> Any:
            refused = needed.refusal(_token(facts))
            if refused is None:
                return decorated(*facts, **more)
            return _answer(refused, facts)

        @wraps(decorated)
        async def answer_later(*facts: Any, **more: Any) -> Any:
            refused = needed.refusal(_token(facts))
            if refused is None:
                return await decorated(*facts, **more)
            answered = _answer(refused, facts)
            return await answered if _is_asgi(facts) else answered

        return answer_later if iscoroutinefunction(decorated) else answer  # type: ignore[return-value]  # the same but for what it refuses

    return decorate


def _token(facts: tuple[Any, ...]) -> Token | None:
    place = _place(facts)
    if isinstance(place, dict):
        found = place.get(wsgi.TOKEN)
    elif isinstance(auth := getattr(place, "auth", None), Token):
        found = auth
    else:
        found = place.META.get(wsgi.TOKEN) or getattr(place, "scope", {}).get(wsgi.TOKEN)
    return found if isinstance(found, Token) else None


def _answer(refused: Refusal, facts: tuple[Any, ...]) -> Any:
    if _is_asgi(facts):
        return asgi.refuse(refused, *facts[-3:])
    if isinstance(_place(facts), dict):
        return wsgi.send(refused, facts[-1])
    from django.http import HttpResponse

    return HttpResponse(refused.body, status=refused.status, headers=dict(refused.headers))


def _place(facts: tuple[Any, ...]) -> Any:
    """The environ, the scope or the request: the first argument that is one, after a `self`."""
    for fact in facts[:2]:
        if isinstance(fact, dict) or hasattr(fact, "META"):
            return fact
    raise TypeError("requires() decorates WSGI and ASGI applications, and views of Django.")


def _is_asgi(facts: tuple[Any, ...]) -> bool:
    place = _place(facts)
    return isinstance(place, dict) and "type" in place and "asgi" in place
