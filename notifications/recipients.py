"""Finds the recipient behind a request, by hooks that `accounts` registers."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec

from django.http import HttpRequest, HttpResponseBase

from notifications.hooks import Hook
from notifications.kinds import Audience

P = ParamSpec("P")
View = Callable[Concatenate[Any, P], HttpResponseBase]


class Person(NamedTuple):
    """A user in one account: settings and inboxes belong to both together."""

    user_id: int
    account_id: int


class PersonRequest(HttpRequest):
    """A request whose person is known, in the account that its address names."""

    person: Person


@Hook
def person_of(request: HttpRequest) -> Person | None:
    """The person behind this request, in the account of its page; on pages of no account, in the
    one used last. None for anonymous visitors."""
    raise NotImplementedError


@Hook
def mail_address_of(person: Person) -> str:
    """The address that mails to this person, or to the contact of this service account, go to now;
    "" if there is none."""
    raise NotImplementedError


@Hook
def readers_at(account_id: int, email: str, /) -> list[Person]:
    """The service accounts of the account whose contact is this address."""
    raise NotImplementedError


@Hook
def audiences_of(request: HttpRequest) -> frozenset[Audience]:
    """The audiences to which the person belongs, in the account of this page."""
    raise NotImplementedError


@Hook
def guard(view: Callable[..., HttpResponseBase], /) -> Callable[..., HttpResponseBase]:
    """Wrap a view so that only people of the account `account_id` reach it, which the wrapped one
    is called with, and the view itself not. All others are told what to do."""
    raise NotImplementedError


def person_required(view: View[P]) -> Callable[..., HttpResponseBase]:
    """Set `request.person`, for the account that the address names; anonymous visitors are asked to
    sign in."""

    def as_person(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        request.person = person_of(request)  # type: ignore[attr-defined]  # see PersonRequest
        return view(request, *args, **kwargs)

    @wraps(view)
    def guarded(
        request: HttpRequest, /, account_id: int, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        return guard(as_person)(request, account_id, *args, **kwargs)

    return guarded
