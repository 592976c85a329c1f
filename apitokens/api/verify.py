"""`/iam/auth/verify`: a reverse proxy asks about the token in the request that it holds."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from accounts.http.client_ip import client_address
from apitokens.api.responses import Answer, answer


@csrf_exempt
@sensitive_variables()
def verify(request: HttpRequest) -> HttpResponse:
    """200 with `X-Auth-…` headers, 401 or 403: nginx's `auth_request` and its like want no more.

    Every method is answered alike: it is the one of the request that a proxy asks about, and some
    proxies (Envoy) can send no other.
    """
    given = answer(
        authorization=request.META.get("HTTP_AUTHORIZATION"),
        query=request.META.get("QUERY_STRING", ""),
        at=timezone.now(),
        address=client_address(request),
    )
    return as_response(given, request)


def as_response(given: Answer, request: HttpRequest) -> HttpResponse:
    body = b"" if request.method == "HEAD" else given.body
    response = HttpResponse(body, status=given.status, headers=dict(given.headers))
    # Django logs a warning for each 401: here a refusal is an answer like any other.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def note(response: HttpResponse, **facts: object) -> HttpResponse:
    """Add facts (ids and codes) for the line of the log that tells of this answer."""
    response.noted = facts  # type: ignore[attr-defined]  # is read where the line is written
    return response


def not_allowed(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponse:
    return JsonResponse(
        {"message": f'Method "{request.method}" not allowed.'},
        status=405,
        headers={"Allow": ", ".join(methods)},
    )
