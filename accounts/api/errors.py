"""The exception handler of the API: `{"message": …}`, and `errors` with a 400."""

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.api.refusals import BAD_REQUEST, Overloaded, TooMany
from accounts.throttling.password_hashing import TooBusy
from accounts.throttling.rate_limits import TooManyTries

# The key of a refusal that belongs to no single field.
WHOLE = "errors"


class NotFound(exceptions.APIException):
    """404 with a sentence that names the missing thing."""

    status_code = status.HTTP_404_NOT_FOUND
    default_code = "not_found"


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "too_large"


def answer(exception: Exception, context: dict[str, Any]) -> Response | None:
    """The exception handler for REST framework. Unexpected faults are not caught (None)."""
    if isinstance(exception, ValidationError):
        exception = exceptions.ValidationError(as_errors(exception))
    elif isinstance(exception, PermissionDenied):
        exception = exceptions.PermissionDenied(str(exception) or None)
    elif isinstance(exception, TooManyTries):
        exception = TooMany(exception)
    elif isinstance(exception, TooBusy):
        exception = Overloaded(exception)
    elif isinstance(exception, RequestDataTooBig):
        exception = TooLarge()
    elif isinstance(exception, Http404):
        exception = NotFound("Not found.")
    response = exception_handler(exception, context)
    if response is not None and isinstance(exception, exceptions.APIException):
        response.data = _body(exception)
    return response


def as_errors(refusal: ValidationError, fields: dict[str, str] | None = None) -> dict[str, Any]:
    """A service's refusal by field, under the API's names of the fields."""
    if not hasattr(refusal, "error_dict"):
        return {WHOLE: refusal.messages}
    names = fields or {}
    return {names.get(field, field): messages for field, messages in refusal.message_dict.items()}


def _body(exception: exceptions.APIException) -> dict[str, Any]:
    detail = exception.detail
    if isinstance(exception, exceptions.ValidationError):
        errors = detail if isinstance(detail, dict) else {WHOLE: detail}
        return {"message": BAD_REQUEST, "errors": errors}
    if isinstance(exception, exceptions.ParseError):
        return {"message": str(detail), "errors": {WHOLE: [str(detail)]}}
    if isinstance(detail, dict):
        return detail
    return {"message": str(detail)}
