"""`/metrics` on the portal's own port: for those who have the token of METRICS_TOKEN."""

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from operations.metrics.exposition import everything


@require_safe
@never_cache
@sensitive_variables()
def metrics(request: HttpRequest) -> HttpResponse:
    """404 where no token is set: there the page is not there. 401 without the right one."""
    token = settings.METRICS_TOKEN
    if not token:
        return HttpResponseNotFound("Not found.\n", content_type="text/plain")
    scheme, _space, shown = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    is_right = hmac.compare_digest(shown.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not is_right:
        return HttpResponse(
            "Send the token of METRICS_TOKEN: Authorization: Bearer …\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    return HttpResponse(generate_latest(everything), content_type=CONTENT_TYPE_LATEST)
