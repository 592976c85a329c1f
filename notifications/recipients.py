"""Finds the recipient behind a request; `accounts` registers how."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec

from django.http import HttpRequest, HttpResponseBase

P = ParamSpec("P")
View = Callable[Concatenate[Any, P], HttpResponseBase]


class Person(NamedTuple):
    """A user in one account: settings and inboxes are by both."""

    user_id: int
    account_id: int


class PersonRequest(HttpRequest):
    """A request whose person is known, in the account they have chosen."""

    person: Person


class RecipientBackend(NamedTuple):
    """`person_of` names the person behind a request, if any; `guard` wraps a view so that it is
    reached by such people only, and the others are told what to do."""

    person_of: Callable[[HttpRequest], Person | None]
    guard: Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]


_gates: list[RecipientBackend] = []


def register(gate: RecipientBackend) -> None:
    """Called once at start, when the apps are ready."""
    _gates[:] = [gate]


def person_of(request: HttpRequest) -> Person | None:
    """The person behind this request, in the account they have chosen. None for strangers."""
    return _gates[0].person_of(request)


def person_required(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Set `request.person`; strangers are asked to sign in."""

    def as_person(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        request.person = person_of(request)  # type: ignore[attr-defined]  # see PersonRequest
        return view(request, *args, **kwargs)

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return _gates[0].guard(as_person)(request, *args, **kwargs)

    return guarded
