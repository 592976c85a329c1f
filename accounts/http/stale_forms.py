"""Forms that were opened before the person signed in again: their CSRF token is out of date."""

from collections.abc import Callable
from typing import TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.csrf import csrf_failure as refuse

View = Callable[..., HttpResponseBase]
AnyView = TypeVar("AnyView", bound=View)

_ANSWERS: dict[View, View] = {}


def sent_again_to(answer: View) -> Callable[[AnyView], AnyView]:
    """Have this view's stale forms answered by another view, which changes nothing: it shows the
    form again, with what was typed."""

    def register(view: AnyView) -> AnyView:
        _ANSWERS[view] = answer
        return view

    return register


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Answer a request that failed the check against forgery.

    What has an `Origin` of ours and the wrong token is a form of ours that is out of date. What
    comes from another site is told nothing and shown nothing: it would fill in our form.
    """
    match = request.resolver_match
    answer = _ANSWERS.get(match.func) if match else None
    is_ours = "Origin" in request.headers and reason.startswith(("CSRF token", "CSRF cookie"))
    if match is None or answer is None or not is_ours:
        return refuse(request, reason)
    return answer(request, *match.args, **match.kwargs)
