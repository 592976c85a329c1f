"""Views that show a secret, or show something this once."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

View = Callable[..., HttpResponseBase]
_MARK = "shows_secret"


def render_before_commit(view: View) -> View:
    """Make the page within the transaction that marks its secret as shown. Whatever fails, the mark
    goes with it; and nothing that can fail comes after the commit."""

    @wraps(view)
    def rendered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with transaction.atomic():
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                response.render()
        return response

    return rendered


def marked_as_secret(view: View) -> View:
    """Mark the answers of a view that shows a secret on GET: they are not compressed."""

    @wraps(view)
    def marked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        setattr(response, _MARK, True)
        return response

    return marked


def shows_secret(response: HttpResponseBase) -> bool:
    """True for the answers of a view that is marked so."""
    return getattr(response, _MARK, False)
