"""A link that is a permission by itself stands in no log, whatever happens when it is opened."""

import inspect
import io
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter, StringConverter
from granian.log import DEFAULT_ACCESSLOG_FMT, log_request_builder
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from accounts.service_accounts import contacts
from accounts.sign_in import email_change
from apitokens.log_redaction import redact
from config.celery import app
from config.server.faults import answer_faults
from notifications.email.claims import Batch, resolve_uncertain_delivery
from notifications.email.transport import DeliveryFailed
from notifications.email.verdicts import Verdict
from notifications.kinds import TOKEN_EXPIRING
from notifications.links import SecretConverter, hide_secrets, secret_routes
from notifications.models import Mail, State
from notifications.preferences import unsubscribe
from notifications.recipients import Person
from tests.factories import PASSWORD, service_account
from tests.outbox import mail_to, path_in

pytestmark = pytest.mark.django_db

PUBLIC = {"slug", "page", "app_label", "content_type_id", "object_id", "url", "code"}
"""Arguments that are text and no permission: the name of a provider or service in addresses, the
page that a former address leads to, and the admin's."""
ROUTES = [route.name for route in secret_routes()]
every_route = pytest.mark.parametrize("name", ROUTES)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged, as a handler writes it that knows nothing of secrets."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    names = ("", "django", "django.request", "django.security", "django.server", "granian.access")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield stream
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.fixture
def browser() -> Client:
    """Sends no CSRF token, and gets the page of an error."""
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


class Links(Mapping[str, str]):
    """Good links, each made when it is looked at: most tests look at one."""

    def __init__(self, makers: Mapping[str, Callable[[], str]]) -> None:
        self.makers, self.made = makers, dict[str, str]()

    def __getitem__(self, name: str) -> str:
        if name not in self.made:
            self.made[name] = self.makers[name]()
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


@pytest.fixture
def links(administrator: Membership, now: datetime) -> Links:
    """A good link of each kind, by the name of its route."""
    user, account = administrator.user, administrator.account

    def confirmation() -> str:
        form = {"account_name": "Globex", "email": "ann@example.com", "password1": PASSWORD}
        Client().post(reverse("account_signup"), form)
        return path_in(mail_to("ann@example.com"))

    def new_password() -> str:
        Client().post(reverse("account_reset_password"), {"email": user.email})
        return path_in(mail_to(user.email))

    def contact() -> str:
        facts: Any = {"at": now, "agrees": False, "contact_email": "o@x.example"}
        return contacts.path(service_account(account, **facts))

    def invitation() -> str:
        invitations.invite(
            account=account,
            email="maria@example.com",
            role=Role.USERS,
            by=Actor.member(administrator),
            at=now,
        )
        return path_in(mail_to("maria@example.com"))

    def unsubscribing() -> str:
        person = Person(user.pk, account.pk)
        return urlsplit(unsubscribe.link(person, TOKEN_EXPIRING, email=user.email)).path

    return Links(
        {
            "account_confirm_email": confirmation,
            "account_reset_password_from_key": new_password,
            "accounts:answer_contact": contact,
            "accounts:confirm_email": lambda: email_change.path(user, "new@example.net"),
            "accounts:invitation": invitation,
            "notifications:unsubscribe": unsubscribing,
        }
    )


def secret_of(path: str) -> str:
    """What the path must not be known by: the last part of what is signed."""
    return path.rstrip("/")[-20:]


# --- Routes --------------------------------------------------------------------------------------


def test_every_text_in_a_route_is_secret_or_known_as_public() -> None:
    """A new route with a signed link has to say so: `<secret:…>`."""
    undeclared = {
        (pattern.name, argument)
        for pattern in _patterns(get_resolver().url_patterns)
        for argument, converter in pattern.pattern.converters.items()
        if not isinstance(converter, IntConverter | SecretConverter)
        and not _is_narrow(converter)
        and argument not in PUBLIC
    }
    undeclared |= {
        (pattern.name, argument)
        for pattern in _patterns(get_resolver().url_patterns)
        for argument in set(pattern.pattern.regex.groupindex) - set(pattern.pattern.converters)
        if argument not in PUBLIC
    }
    assert undeclared == set()


def _is_narrow(converter: Any) -> bool:
    """True for a converter that takes fewer characters than a signed link has."""
    return isinstance(converter, StringConverter) and converter.regex == "[0-9A-Za-z]{1,13}"


def _patterns(patterns: Any) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


def test_every_secret_route_has_a_good_link_here(links: Links) -> None:
    assert sorted(links) == sorted(ROUTES)


# --- Logs ----------------------------------------------------------------------------------------

REQUESTS: dict[str, Callable[[Client, str], Any]] = {
    "GET": lambda client, path: client.get(path),
    "HEAD": lambda client, path: client.head(path),
    "OPTIONS": lambda client, path: client.options(path),
    "POST without CSRF cookie": lambda client, path: client.post(path),
    "PUT": lambda client, path: client.put(path),
    "DELETE": lambda client, path: client.delete(path),
    "without its slash": lambda client, path: client.get(path.rstrip("/")),
    "with more behind it": lambda client, path: client.get(f"{path}more/"),
    "of an unknown host": lambda client, path: client.get(path, HTTP_HOST="evil.example"),
    "in a query": lambda client, path: client.get("/nothing/", {"next": path}),
    "as a Referer": lambda client, path: client.get("/nothing/", HTTP_REFERER=path),
}


@every_route
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("debug", [False, True])
def test_no_log_holds_the_link(
    browser: Client,
    written: io.StringIO,
    links: Links,
    settings: Settings,
    name: str,
    request_: Callable[[Client, str], Any],
    debug: bool,
) -> None:
    secret = secret_of(links[name])
    settings.DEBUG = debug

    answer = request_(browser, links[name])

    assert secret not in written.getvalue()
    assert secret not in str(list(AuditEvent.objects.values()))
    assert debug or answer.status_code < 403 or secret not in answer.content.decode()


@every_route
def test_no_log_holds_the_link_when_the_page_fails(
    browser: Client,
    written: io.StringIO,
    links: Links,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    def fail(self: Any, request: Any) -> Any:
        raise RuntimeError(f"{request.get_full_path()} is broken")

    path = links[name]
    monkeypatch.setattr(
        "django.contrib.auth.middleware.AuthenticationMiddleware.process_request", fail
    )

    assert browser.get(path).status_code == 500
    assert "is broken" in written.getvalue()
    assert secret_of(links[name]) not in written.getvalue()


def test_weak_password_at_an_invitation_is_logged_without_the_link(
    client: Client, written: io.StringIO, links: Links
) -> None:
    path = links["accounts:invitation"]

    assert client.post(path, {"password1": "short"}).status_code == 400
    assert "Bad Request: /invitations/…" in written.getvalue()
    assert secret_of(path) not in written.getvalue()


@every_route
@pytest.mark.parametrize("form", ["%(path)s %(query_string)s", DEFAULT_ACCESSLOG_FMT])
def test_access_log_of_the_server_does_not_hold_it(
    written: io.StringIO, links: Links, name: str, form: str
) -> None:
    log: Any = log_request_builder(form)  # type: ignore[no-untyped-call]  # granian has no types
    request = {"addr_remote": "192.0.2.7", "path": links[name], "qs": f"next={links[name]}"}

    log(0.0, 0.0, {**request, "method": "GET", "scheme": "http", "protocol": "1.1"}, 200)

    assert "…" in written.getvalue()
    assert secret_of(links[name]) not in written.getvalue()


@pytest.mark.parametrize(
    "name", ["accounts:invitation", "accounts:confirm_email", "accounts:answer_contact"]
)
def test_signed_text_is_redacted_without_its_path_too(links: Links, name: str) -> None:
    signed = links[name].rstrip("/").rpartition("/")[2]

    assert secret_of(signed) not in redact(f"signed={signed}")
    assert secret_of(signed) not in redact(signed.replace(":", "%3A"))


def test_key_of_a_new_password_is_redacted_without_its_path_too(links: Links) -> None:
    key = links["account_reset_password_from_key"].rstrip("/").rpartition("/")[2]

    assert secret_of(key) not in redact(f"key={key}")


@every_route
def test_any_text_in_the_place_of_the_secret_is_hidden(links: Links, name: str) -> None:
    """A damaged link is still most of a good one."""
    start = links[name].rstrip("/")[:-10]

    assert hide_secrets(f"GET {start}x HTTP/1.1").endswith("… HTTP/1.1")


QUOTINGS: dict[str, Callable[[str], str]] = {
    "once": lambda path: quote(path, safe=""),
    "twice": lambda path: quote(quote(path, safe=""), safe=""),
    "five times": lambda path: "".join(f"%25252525{ord(each):02X}" for each in path),
    "needlessly": lambda path: path.replace("-", "%2D").replace("i", "%69"),
}


@every_route
@pytest.mark.parametrize("quoted", QUOTINGS.values(), ids=QUOTINGS)
def test_quoted_link_is_hidden_however_often(
    client: Client, links: Links, name: str, quoted: Callable[[str], str]
) -> None:
    path = f"/sign-in/?next={quoted(links[name])}"

    text = redact(f"GET {path} HTTP/1.1")

    for spelling in (secret_of(links[name]), quoted(secret_of(links[name]))):
        assert spelling not in text
    assert client.get(path)["Referrer-Policy"] == "strict-origin"


def test_what_is_unquoted_makes_no_line_of_its_own(links: Links) -> None:
    quoted = quote(links["accounts:invitation"], safe="")

    assert redact(f"/?a=%0AWARNING%250A&next=%252F{quoted}").isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "Not Found: /users/invitations/4711/send/",
        "Not Found: /accounts/7/users/invitations/4711/send/?next=%2Fusers%2Finvitations%2F4711",
        "100%25 of /profile/api-tokens/?search=50%2525",
        "Not Found: /invitations",
        "/profile/api-tokens/?q=a:b:c",
        "at 12:34:56 the task 550e8400-e29b-41d4-a716-446655440000 ended",
        "https://example.com/invitation-policy/",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text


def test_no_task_has_an_argument() -> None:
    """Celery logs arguments, and its broker holds them."""
    app.loader.import_default_modules()
    tasks = [task for name, task in app.tasks.items() if not name.startswith("celery.")]

    assert tasks
    assert all(not inspect.signature(task.run).parameters for task in tasks)


# --- Browsers ------------------------------------------------------------------------------------


@every_route
def test_browser_tells_nobody_where_it_was(client: Client, links: Links, name: str) -> None:
    answer = client.get(links[name])

    assert answer["Referrer-Policy"] == "strict-origin"
    assert "no-store" in answer["Cache-Control"]


@every_route
def test_page_that_refuses_a_large_body_tells_nobody(
    client: Client, links: Links, name: str
) -> None:
    """It loads style sheets, like every page."""
    answer = client.post(links[name], b"x" * 300_000, content_type="text/plain")

    assert answer.status_code == 413
    assert answer["Referrer-Policy"] == "strict-origin"
    assert "no-store" in answer["Cache-Control"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_link_that_is_too_long_for_a_page_is_told_to_nobody(client: Client, links: Links) -> None:
    """The portal cuts the query, the browser does not."""
    path = links["accounts:invitation"]

    answer = client.get(f"/sign-in/?a={'x' * 900}&b={'x' * 900}&next={path}")

    assert answer["Referrer-Policy"] == "strict-origin"


def test_answer_in_front_of_django_is_told_to_nobody(links: Links) -> None:
    told: list[Any] = []
    environ = {"PATH_INFO": links["accounts:invitation"]}

    def fail(_environ: Any, _start: Any) -> Any:
        raise RuntimeError

    list(answer_faults(fail)(environ, lambda *facts: told.extend(facts[1])))

    assert dict(told)["Referrer-Policy"] == "strict-origin"
    assert dict(told)["Cache-Control"] == "no-store"


def test_page_that_knows_where_to_go_on_tells_nobody_either(client: Client, links: Links) -> None:
    answer = client.get(reverse("account_login"), {"next": links["accounts:invitation"]})

    assert answer["Referrer-Policy"] == "strict-origin"


def test_other_pages_tell_themselves_alone(client: Client) -> None:
    assert client.get(reverse("account_login"))["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("end", ["postponed", "postponed with the rest", "in doubt"])
def test_refusal_of_a_mail_server_that_quotes_a_link_is_kept_without_it(
    administrator: Membership, now: datetime, end: str
) -> None:
    invitations.invite(
        account=administrator.account, email="nora@example.com", role=Role.USERS,
        by=Actor.member(administrator), at=now,
    )  # fmt: skip
    link = path_in(mail_to("nora@example.com"))
    batch = Batch(lambda: now)
    batch.claim()
    (mail,) = batch.mails
    # The cut must not go through the link before it is known as one.
    for words in ("550 5.7.1 Blocked: ", "x" * 440 + " "):
        refusal = f"{words}http://localhost:8000{link} is listed"
        Mail.objects.update(state=State.CLAIMED, owner=batch.owner, lease_until=now)
        batch.mails = [mail]
        if end == "postponed":
            batch.postpone(mail, DeliveryFailed(refusal, Verdict.RETRY_LATER))
        elif end == "postponed with the rest":
            batch.postpone_rest(refusal)
        else:
            Mail.objects.update(state=State.HANDING_OVER)
            mail.owner = batch.owner
            resolve_uncertain_delivery(mail, refusal, at=now)
        reason = Mail.objects.get().reason
        assert words.strip() in reason
        assert link.split("/")[2][:20] not in reason
