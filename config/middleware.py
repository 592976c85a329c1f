"""Middleware of the whole portal: forwarded headers, body sizes, and rules of the API."""

import re
from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote_plus

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.middleware.security import SecurityMiddleware
from django.shortcuts import render
from django.urls import ResolverMatch, resolve, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext_lazy

from accounts.api.refusals import HTTPS_REQUIRED
from accounts.http.bounded_query import mark_as_cut
from accounts.http.client_ip import normalize_forwarded_proto
from accounts.http.lengths import read_length
from accounts.throttling.password_hashing import TooBusy
from accounts.throttling.rate_limits import TooManyTries
from apitokens import keys
from apitokens.cache import in_force
from apitokens.log_redaction import redact, redact_tokens
from config.database.limits import brief_waits
from notifications.links import has_secret

Handler = Callable[[HttpRequest], HttpResponse]

VERIFY = "api-verify"
INTROSPECT, INTROSPECT_BATCH = "api-introspect", "api-introspect-batch"
PROBES = ("livez", "readyz", "healthz")
PROBE_PATHS = ("/livez", "/readyz", "/healthz")
METRICS = "metrics"
SAML_PATH = "/saml/"
LONGEST_VALUE, LONGEST_QUERY = 3_000, 3_500
"""Characters of one parameter, and of all. The longest that a page has are 200 ids of tokens, and
the address of such a page to which signing in again leads back."""
NOT_COMPRESSED = "Send the body as it is, without Content-Encoding: it is not unpacked here."
PLAIN_TEXT = "text/plain; charset=utf-8"
_LONG_WORD = re.compile(r"[\w$%+/=-]{20,}")
"""No secret is without one; few names of browsers have one."""
SECRET_REMOVED = "secret-removed"  # noqa: S105  # a name
"""A cookie, for the next page alone: a secret was cut out of its address."""
WITH_ID, ALONE = "1", "alone"
"""Values of the cookie: the secret stood behind its id, or without one."""
MAX_BODY_SIZE = settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def answer_when_in_force(get_response: Handler) -> Handler:
    """Answer when no process accepts any more what the request has ended: a deleted token, for one.
    Outside of all else, so that nothing is held meanwhile."""

    def handle(request: HttpRequest) -> HttpResponse:
        with in_force.together():
            return get_response(request)

    return handle


def read_forwarded_proto(get_response: Handler) -> Handler:
    """Drop `X-Forwarded-Proto` unless a trusted proxy sent it, and spell it as Django expects."""

    def handle(request: HttpRequest) -> HttpResponse:
        normalize_forwarded_proto(request.META)
        return get_response(request)

    return handle


def clean_user_agent(get_response: Handler) -> Handler:
    """Make `User-Agent` fit to be kept and shown, as sessions and sign-ins do: without NUL (RFC
    9110, 5.5), which PostgreSQL does not store, and without a token that a script has put there."""

    def handle(request: HttpRequest) -> HttpResponse:
        agent = request.META.get("HTTP_USER_AGENT", "")
        if "\0" in agent or _LONG_WORD.search(agent):
            request.META["HTTP_USER_AGENT"] = redact(agent.replace("\0", " "))
        return get_response(request)

    return handle


def bound_query(get_response: Handler) -> Handler:
    """Cut what a page is asked for: its links repeat the query, dozens of times. No page knows a
    value of this length; what was too long for a search stays too long. A query of too many
    parameters is refused as a whole. Pages that change what the query finds ask whether it was cut.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        query = request.META.get("QUERY_STRING", "")
        if len(query) > LONGEST_VALUE and _repeats_query(request):
            request.META["QUERY_STRING"], cut = _bounded(query)
            mark_as_cut(request, cut)
        return get_response(request)

    return handle


def keep_tokens_out_of_addresses(get_response: Handler) -> Handler:
    """Lead from a page whose query holds a token, pasted into a search, to the same page with the
    token's id in its place: the address stands in histories, and each link of the page repeats it.
    That page says so. (In browsers a script does the same before the form is sent.)
    """

    def handle(request: HttpRequest) -> HttpResponse:
        query = request.META.get("QUERY_STRING", "")
        if query and request.method in ("GET", "HEAD") and _repeats_query(request):
            without, left = _without_secrets(query)
            if without != query:
                led = HttpResponseRedirect(f"?{without}")
                led.set_cookie(SECRET_REMOVED, left, max_age=30, path=_of(request), samesite="Lax")
                return led
        response = get_response(request)
        if request.COOKIES.get(SECRET_REMOVED) and _repeats_query(request):
            response.delete_cookie(SECRET_REMOVED, path=_of(request), samesite="Lax")
        return response

    def process_view(request: HttpRequest, *_view: Any) -> None:
        # Only for who is signed in: a message is kept in the session, and strangers need none.
        left = request.COOKIES.get(SECRET_REMOVED)
        if left and request.user.is_authenticated:
            messages.info(request, _SECRET_ALONE if left == ALONE else _SEARCHED_BY_ID)

    handle.process_view = process_view  # type: ignore[attr-defined]  # where Django looks
    return handle


def limit_body_size(get_response: Handler) -> Handler:
    """Refuse large bodies without reading them. Forms are small, and so is the one file that is
    uploaded here (the metadata of an identity provider). Verification reads no body: a proxy may
    hand on the length of the one that it holds."""

    def handle(request: HttpRequest) -> HttpResponse:
        if _content_length(request) <= MAX_BODY_SIZE or request.path_info == _verify_path():
            return get_response(request)
        if is_api(request):
            return JsonResponse({"message": "The body is too large."}, status=413)
        return render(request, "413.html", status=413)

    return handle


def refuse_compressed_bodies(get_response: Handler) -> Handler:
    """Refuse bodies with a `Content-Encoding` (RFC 9110, 15.5.16): nothing here unpacks them, and
    they would be read as text that is broken. Verification reads no body."""

    def handle(request: HttpRequest) -> HttpResponse:
        coding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        is_plain = coding in ("", "identity") or not _content_length(request)
        if is_plain or request.path_info == _verify_path():
            return get_response(request)
        if is_api(request):
            response: HttpResponse = JsonResponse({"message": NOT_COMPRESSED}, status=415)
        else:
            response = HttpResponse(f"{NOT_COMPRESSED}\n", status=415, content_type=PLAIN_TEXT)
        response.headers["Accept-Encoding"] = "identity"
        return response

    return handle


def require_https_and_no_store_for_api(get_response: Handler) -> Handler:
    """Refuse plain HTTP on the API where there is HTTPS, and mark its answers `no-store`.

    A redirect to HTTPS would break a POST, and hide that the token has travelled in clear.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        if not is_api(request):
            return get_response(request)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            body = {"message": HTTPS_REQUIRED, "code": "https_required"}
            response: HttpResponse = JsonResponse(body, status=403)
            response.headers["X-Auth-Error"] = body["code"]
        else:
            response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return handle


def answer_while_busy(get_response: Handler) -> Handler:
    """Answer 503 with `Retry-After` where a password would have to wait too long for its hash, and
    429 where a limit is reached."""

    def handle(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    def process_exception(request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, TooBusy | TooManyTries):
            return None
        status = 503 if isinstance(exception, TooBusy) else 429
        response = render(request, f"{status}.html", status=status)
        response.headers["Retry-After"] = str(exception.retry_after)
        return response

    handle.process_exception = process_exception  # type: ignore[attr-defined]  # where Django looks
    return handle


def skip_middleware_for_verification(get_response: Handler) -> Handler:
    """Answer verification endpoints without the remaining middleware: they are called thousands of
    times a second, and use neither session nor locale.

    Verification, probes and metrics are answered under any Host, and nothing else. Proxies ask
    `/iam/auth/verify` under the name of any site, and some cannot be told otherwise; probes ask by
    the address of a machine, and without TLS. No address is written into their answers.
    """

    @cache
    def views_by_path() -> dict[str, tuple[Handler, ResolverMatch]]:
        names = (VERIFY, INTROSPECT, INTROSPECT_BATCH, *PROBES, METRICS)
        found = {(path := reverse(name)): resolve(path) for name in names}
        return {path: (limit_body_size(match.func), match) for path, match in found.items()}

    def handle(request: HttpRequest) -> HttpResponse:
        view, match = views_by_path().get(request.path_info, (None, None))
        is_read = request.path_info in (*PROBE_PATHS, _metrics_path())
        is_other = is_read and request.method not in ("GET", "HEAD")
        if view is None or is_other:
            return get_response(request)
        if request.path_info in _introspection_paths():
            request.get_host()  # refuses unknown host names, as CommonMiddleware does
        request.resolver_match = match  # by which the log and metrics name the route
        with brief_waits(even_alone=request.path_info in PROBE_PATHS):
            response = view(request)
        for name, value in security_headers(request.is_secure()):
            response.headers[name] = value
        return response

    return handle


def explain_refused_methods(get_response: Handler) -> Handler:
    """Give the empty answers 405 of pages a page: browsers show an error of their own for them."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_page = not (is_api(request) or request.path_info.startswith((SAML_PATH, *PROBE_PATHS)))
        if response.status_code != 405 or response.content or not is_page:
            return response
        explained = render(request, "405.html", {"error_layout": error_layout(request)}, status=405)
        for name, value in response.items():
            if name != "Content-Type":
                explained.headers[name] = value
        add_never_cache_headers(explained)  # its bar names the reader
        return explained

    return handle


def keep_secret_addresses(get_response: Handler) -> Handler:
    """Let no browser tell or keep an address with a secret link in it: the next request would carry
    it in its `Referer`, which proxies log.

    Only the origin is told. (With nothing told, browsers would send `Origin: null` with a form, and
    it would be refused as a forgery.)
    """

    def handle(request: HttpRequest) -> HttpResponse:
        # Before anything is cut from it. No call of the API has a secret in its address.
        is_secret = not is_api(request) and has_secret(request.get_full_path())
        response = get_response(request)
        if is_secret:
            response.headers["Referrer-Policy"] = "strict-origin"
            response.headers["Cache-Control"] = "no-store"
        return response

    return handle


def _of(request: HttpRequest) -> str:
    """The path, quoted: a semicolon in it would begin another attribute of the cookie."""
    return quote(request.path)


def _repeats_query(request: HttpRequest) -> bool:
    """True for pages. Calls of the API are answered without links, and messages of identity
    providers are signed as they come."""
    return not (request.path_info.startswith(SAML_PATH) or is_api(request))


def _bounded(query: str) -> tuple[str, set[str]]:
    """The first parameters of the query, each cut, that fit together; and the names of those that
    are not whole. The path of a page leads elsewhere if it is cut, and is left out instead."""
    kept, cut, size = QueryDict(mutable=True), set[str](), 0
    try:
        # As WSGI has them: bytes, each as the character of its number.
        given = QueryDict(query.encode("latin-1"))
    except SuspiciousOperation:  # too many of them
        return query, cut
    for name, values in given.lists():
        is_long = any(len(value) > LONGEST_VALUE for value in values)
        size += len(name) + sum(len(value[:LONGEST_VALUE]) for value in values)
        if is_long or size > LONGEST_QUERY:
            cut.add(name)
        if size <= LONGEST_QUERY and not (is_long and name == "next"):
            kept.setlist(name, [value[:LONGEST_VALUE] for value in values])
    return kept.urlencode(), cut


_SEARCHED_BY_ID = gettext_lazy(
    "Searched by the ID: the secret of a token must not be in an address. "
    "If others may have seen it, delete the token."
)
_SECRET_ALONE = gettext_lazy(
    "You searched for a secret without the ID of its token, so it was taken out of the address and "
    "nothing was found. Search for the whole token or its ID."
)


def _without_secrets(query: str) -> tuple[str, str]:
    """The query in which each value that holds a token is that token's id alone, whatever else was
    pasted with it; and what was left of the last one, as the cookie says it. The same query if it
    holds none. (A secret alone becomes an ellipsis, which finds nothing: an empty search would find
    everything.)"""
    written, left = unquote_plus(query), WITH_ID
    if redact_tokens(written) == written:
        return query, left
    kept = QueryDict(mutable=True)
    for name, values in QueryDict(query.encode("latin-1")).lists():
        for value in values:
            if redact_tokens(value) != value:
                value = keys.id_within(value) or "…"
                left = ALONE if value == "…" else WITH_ID
            kept.appendlist(redact_tokens(name), value)
    return kept.urlencode(), left


@cache
def security_headers(is_secure: bool) -> list[tuple[str, str]]:
    """The headers that Django's SecurityMiddleware sets on every answer."""
    scheme = "https" if is_secure else "http"
    request = WSGIRequest(
        {"REQUEST_METHOD": "GET", "wsgi.url_scheme": scheme, "wsgi.input": BytesIO()}
    )
    security = SecurityMiddleware(lambda _request: HttpResponse())
    response = security.process_response(request, HttpResponse())
    return [(name, value) for name, value in response.items() if name != "Content-Type"]


@cache
def _verify_path() -> str:
    return reverse(VERIFY)


@cache
def _metrics_path() -> str:
    return reverse(METRICS)


@cache
def _introspection_paths() -> frozenset[str]:
    return frozenset(map(reverse, (INTROSPECT, INTROSPECT_BATCH)))


def error_layout(request: HttpRequest) -> str:
    """The layout of a page that says why there is no other: people who are signed in stay in the
    portal, and can switch the account. Nothing is asked of the database for strangers."""
    user = getattr(request, "user", None)
    is_signed_in = user is not None and user.is_authenticated
    return f"layouts/{'portal' if is_signed_in else 'plain'}.html"


def is_api(request: HttpRequest) -> bool:
    """True for paths of the REST API; its documentation is a page."""
    return request.path_info.startswith("/iam/") and request.path_info != "/iam/docs"


def _content_length(request: HttpRequest) -> int:
    """The announced length of the body, in bytes. (Django reads no body without a length.)"""
    return read_length(request.META.get("CONTENT_LENGTH"))
