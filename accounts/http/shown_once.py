"""Views that show something this once."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

View = Callable[..., HttpResponseBase]


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
