"""No secret of any kind is told by a log, an audit event, a metric or an error page, whether what
it was used for succeeds, is refused, or breaks."""

import io
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.core.cache import cache
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership, User
from accounts.roles import Role
from apitokens.tokens import services as tokens
from apitokens.verification.verifier_keys import issue_verifier
from config.logs.setup import logging_settings
from notifications.links import secret_routes
from sso.models import Connection
from tests.accounts.sign_in.passkeys import Passkey
from tests.accounts.sign_in.test_mfa import code_at
from tests.accounts.sign_in.test_passkeys import challenge_of
from tests.config.test_secret_links import links, written
from tests.factories import PASSWORD, MembershipFactory, UserFactory, issue
from tests.idp.keys import SigningKey, make_key
from tests.leaks.traffic import SECRET_FIELDS, Planted, WatchedBrowser, whole_way
from tests.operations.test_metrics import TOKEN as METRICS_TOKEN
from tests.operations.test_metrics import own_counts
from tests.sso import login_steps
from tests.sso.conftest import signing, trusted
from tests.tenancy.routes import Route, is_id, routes
from tests.tenancy.two_accounts import Side, build

__all__ = ["links", "own_counts", "signing", "trusted", "written"]

pytestmark = pytest.mark.django_db

MARY = "mary@example.com"
NEW_PASSWORD, WRONG_PASSWORD = "another long pass phrase", "guessed in the dark of night"
WRONG_CODE = "918273"
JSON = "application/json"
IN_A_URL = "w0rd-in-an-address"


def _set(name: str, value: Any, secret: str) -> Callable[[Settings, pytest.MonkeyPatch], list[str]]:
    def plant(settings: Settings, _patch: pytest.MonkeyPatch) -> list[str]:
        setattr(settings, name, value)
        return [secret]

    return plant


def _password_of_the_database(settings: Settings, patch: pytest.MonkeyPatch) -> list[str]:
    patch.setitem(settings.DATABASES["default"], "PASSWORD", f"{IN_A_URL}-sql")
    return [f"{IN_A_URL}-sql"]


OF_SETTINGS: dict[str, Callable[[Settings, pytest.MonkeyPatch], Iterable[str]]] = {
    "DATABASE_URL": _password_of_the_database,
    "EMAIL_URL": _set("EMAIL_HOST_PASSWORD", f"{IN_A_URL}-smtp", f"{IN_A_URL}-smtp"),
    "METRICS_TOKEN": lambda _settings, _patch: [METRICS_TOKEN],
    "REDIS_URL": _set("REDIS_URL", f"redis://:{IN_A_URL}-redis@127.0.0.1:1/0", f"{IN_A_URL}-redis"),
    "SECRET_KEY": lambda settings, _patch: [str(settings.SECRET_KEY)],
    "SECRET_KEY_FALLBACKS": _set("SECRET_KEY_FALLBACKS", [f"{IN_A_URL}-old"], f"{IN_A_URL}-old"),
    "SENTRY_DSN": _set(
        "SENTRY_DSN", f"https://{IN_A_URL}-dsn@errors.example.com/1", f"{IN_A_URL}-dsn"
    ),
    "TOKEN_PEPPERS": lambda settings, _patch: map(bytes.hex, settings.TOKEN_PEPPERS.values()),
}
"""How each secret of the settings is about, by the name of its variable; each returns what is
looked for."""


@dataclass
class World:
    """Mary, an Administrator whose company has a provider, and what she knows."""

    planted: Planted
    mary: Membership
    connection: Connection
    signing: SigningKey
    audit: list[str]
    links: dict[str, str]
    monkeypatch: pytest.MonkeyPatch

    def browser(self, **facts: Any) -> WatchedBrowser:
        return WatchedBrowser(self.planted, **facts)

    def signed_in(self, **facts: Any) -> WatchedBrowser:
        browser = self.browser(**facts)
        browser.force_login(User.objects.get(pk=self.mary.user_id))
        self.planted.add("session key", browser.session.session_key or "")
        if not facts:
            browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
            assert browser.get(reverse("mfa_index")).status_code == 200
        return browser

    def page(self, name: str, *args: Any) -> str:
        return reverse(name, args=[self.mary.account_id, *args])


@pytest.fixture
def world(
    trusted: Connection,
    signing: SigningKey,
    links: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> World:
    planted = Planted()
    for name, plant in OF_SETTINGS.items():
        for secret in plant(settings, monkeypatch):
            planted.add(name, secret)
    mary: Membership = MembershipFactory.create(account=trusted.account, user__email=MARY)
    return World(planted, mary, trusted, signing, [], links, monkeypatch)


# --- What is done with them --------------------------------------------------------------------


def passwords(world: World) -> None:
    """Right, wrong, and typed in the wrong place."""
    browser, page = world.browser(), reverse("account_login")
    for login, word in (
        (MARY, WRONG_PASSWORD), (PASSWORD, PASSWORD), ("nobody@example.com", PASSWORD),
        (f"{MARY} {PASSWORD}", ""), (MARY, PASSWORD),
    ):  # fmt: skip
        browser.post(page, {"login": login, "password": word})
    assert browser.session.session_key
    change = reverse("account_change_password")
    for old, new in ((WRONG_PASSWORD, NEW_PASSWORD), (PASSWORD, "short"), (PASSWORD, NEW_PASSWORD)):
        browser.post(change, {"oldpassword": old, "password1": new, "password2": new})
    browser.post(
        change, {"oldpassword": NEW_PASSWORD, "password1": PASSWORD, "password2": PASSWORD}
    )
    form = {"account_name": "Initech", "email": "new@example.com", "password1": NEW_PASSWORD}
    world.browser().post(reverse("account_signup"), form)
    world.browser().post(reverse("account_signup"), form | {"email": "no address"})
    for word in (WRONG_PASSWORD, PASSWORD):
        world.browser().post(
            reverse("api-login"), {"username": MARY, "password": word}, content_type=JSON
        )
        world.browser().post(
            reverse("api-login"), {"username": word, "password": word}, content_type=JSON
        )


def second_factors(world: World) -> None:
    browser, app = world.signed_in(), reverse("mfa_activate_totp")
    secret = str(browser.get(app).context["form"].secret)
    world.planted.add("secret of an app", secret)
    for code in (WRONG_CODE, code_at(timezone.now(), secret)):
        browser.post(app, {"code": code})
    row = Authenticator.objects.get(user=world.mary.user, type=Authenticator.Type.RECOVERY_CODES)
    codes = RecoveryCodes(row).get_unused_codes()
    for code in codes:
        world.planted.add("recovery code", code)
    browser.get(reverse("mfa_view_recovery_codes"))
    for code in (WRONG_CODE, code_at(timezone.now(), secret), codes[0], codes[0], codes[1]):
        step = world.browser()
        step.post(reverse("account_login"), {"login": MARY, "password": PASSWORD})
        step.post(reverse("mfa_authenticate"), {"code": code})
        step.post(reverse("mfa_reauthenticate"), {"code": code})
        world.browser().post(
            reverse("api-login"),
            {"username": MARY, "password": PASSWORD, "one_time_password": code},
            content_type=JSON,
        )
    add, key = reverse("mfa_add_webauthn"), Passkey(world.mary.user)
    browser.get(add)
    for credential in ("{}" * 20, key.made(challenge_of(browser))):
        browser.post(add, {"name": "Key", "credential": credential})
    browser.post(reverse("mfa_generate_recovery_codes"))
    browser.post(reverse("mfa_deactivate_totp"))
    Authenticator.objects.filter(user=world.mary.user).delete()


def signed_links(world: World) -> None:
    """Opened by those whom they are for, by another, and once more after they are used up."""
    for name, path in world.links.items():
        world.planted.add(name, path)
        forms: list[dict[str, str]] = [
            {}, {"password1": "short", "password2": "short"}, {"answer": "yes"},
            {"name": "N", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
        ]  # fmt: skip
        for browser in (
            world.signed_in(),
            world.browser(),
            world.browser(enforce_csrf_checks=True),
        ):
            for form in forms:
                shown = browser.get(path)
                browser.post(shown.get("Location") or path, form)
        world.browser().get(path, HTTP_HOST="evil.example")
        world.browser().get("/nothing/", {"next": path}, HTTP_REFERER=path)
        world.browser().get(f"{path}more/")


def sessions(world: World) -> None:
    """Where a session is refused something, ended, or its page breaks."""
    browser = world.signed_in(enforce_csrf_checks=True)
    other = world.signed_in()
    for path in ("/nothing/", world.page("accounts:people"), reverse("sso:acs", args=["none"])):
        browser.get(path)
        browser.post(path)
        browser.put(path)
        browser.get(path, HTTP_HOST="evil.example")
        browser.get(path, HTTP_REFERER=f"http://localhost/{browser.session.session_key}")
    browser.post(reverse("accounts:profile"), b"x" * 300_000, content_type="text/plain")
    browser.post(reverse("accounts:profile"), b"\xff" * 30, content_type="multipart/form-data")
    other.get(reverse("mfa_index"))
    other.post(reverse("accounts:end_sessions"))
    browser.get(reverse("mfa_index"))
    with world.monkeypatch.context() as patch:
        patch.setattr(
            "django.contrib.auth.middleware.AuthenticationMiddleware.process_request",
            lambda _self, request: [][len(request.COOKIES)],
        )
        assert other.get("/").status_code == 500
    other.post(reverse("account_logout"))
    other.get("/")


def api_tokens(world: World) -> None:
    """Created, used, misused, rotated, deleted, and used again."""
    browser = world.signed_in()
    form = {"name": "CI", "role": "1", "expiration": "never"}
    page = browser.post(world.page("apitokens:create"), form)
    first = issue(world.mary, role=Role.ADMINISTRATORS, at=timezone.now())
    world.planted.add("token of a page", str(page.context["key"]) if "key" in page.context else "")
    for spelled in (first.key.spell(), first.key.spell("_"), f"{first.key.spell()}x"):
        for scheme in ("APIKey", "Bearer", "Basic"):
            for path in (reverse("api-my-account"), reverse("api-verify"), "/iam/nothing"):
                world.browser(headers={"Authorization": f"{scheme} {spelled}"}).get(path)
        world.browser().get(reverse("api-my-account"), {"key": spelled})
        world.browser().get(f"/{spelled}/")
        browser.get(world.page("apitokens:list"), {"q": spelled, "sort": spelled, "page": spelled})
        browser.post(world.page("apitokens:look_up"), {"token": spelled})
        browser.post(world.page("apitokens:create"), form | {"name": spelled})
        browser.post(reverse("accounts:profile"), {"name": spelled})
    caller = world.browser(headers={"Authorization": f"APIKey {first.key.spell()}"})
    client_id = world.mary.account_id
    new: dict[str, Any] = {"name": "New", "exp_date": None, "client_user": {}}
    made = caller.post(reverse("api-tokens-v2", args=[client_id]), new, content_type=JSON).json()
    user = world.browser(headers={"Authorization": f"APIKey {made['token']}"})
    rotate = reverse("api-rotate-v2", args=[client_id, made["id"]])
    assert "token" in user.post(rotate, {}, content_type=JSON).json()
    user.post(rotate, {}, content_type=JSON)
    tokens.delete(token=first.token, by=Actor.member(world.mary), at=timezone.now())
    for path in (reverse("api-my-account"), reverse("api-verify")):
        assert caller.get(path).status_code == 401


def short_lived_tokens(world: World) -> None:
    credentials = {"username": MARY, "password": PASSWORD}
    browser = world.browser()
    pair = browser.post(reverse("api-login"), credentials, content_type=JSON).json()
    for access in (pair["access"], pair["refresh"], f"{pair['access']}x"):
        for scheme in ("Bearer", "APIKey"):
            caller = world.browser(headers={"Authorization": f"{scheme} {access}"})
            for path in (reverse("api-my-account"), reverse("api-verify"), "/iam/nothing"):
                caller.get(path)
            caller.get(reverse("api-login-to-account", args=[world.mary.account_id]))
        browser.get(reverse("api-my-account"), {"token": access})
        browser.get(f"/{access}/")
        browser.get("/", HTTP_HOST=access)
    for refresh in (pair["access"], pair["refresh"], pair["refresh"]):
        browser.post(reverse("api-refresh"), {"refresh": refresh}, content_type=JSON)


def verifiers(world: World) -> None:
    operator = Actor.operator(through=EntryPoint.COMMAND)
    key = issue_verifier(name="Storage", by=operator, at=timezone.now()).key.spell("_")
    asked = issue(world.mary, at=timezone.now()).key.spell()
    path, form = reverse("api-introspect"), "application/x-www-form-urlencoded"
    for shown in (key, f"{key[:-1]}0", asked):
        caller = world.browser(headers={"Authorization": f"Bearer {shown}"})
        for token in (asked, key, "nonsense"):
            world.planted.add("token", token)
            caller.post(path, urlencode({"token": token}), content_type=form)
            caller.post(reverse("api-introspect-batch"), [token], content_type=JSON)
        body = urlencode({"token": asked, "client_id": "1", "client_secret": shown})
        world.planted.add("client_secret", shown)
        world.browser().post(path, body, content_type=form)
        world.browser().post(path, {"token": asked}, content_type=JSON)


def metrics(world: World) -> None:
    for shown in (METRICS_TOKEN, f"{METRICS_TOKEN}x"):
        for scheme in ("Bearer", "Basic"):
            caller = world.browser(headers={"Authorization": f"{scheme} {shown}"})
            caller.get(reverse("metrics"))
        world.browser().get(reverse("metrics"), {"token": shown})


def single_sign_on(world: World) -> None:
    for key in (world.signing, make_key("mallory")):
        browser = world.browser()
        address = login_steps.start_login(browser, world.connection)
        for _time in range(2):
            login_steps.complete_login(browser, world.connection, key, address, email=MARY)
        browser.get(reverse("sso:finish", args=[world.connection.slug]))
        browser.post(reverse("account_logout"))


WAYS: tuple[Callable[[World], None], ...] = (
    *(passwords, second_factors, signed_links, sessions, api_tokens, short_lived_tokens),
    *(verifiers, metrics, single_sign_on),
)


def everywhere(world: World) -> int:
    """Every route, as the URL configuration has it, with a secret in each field that is for one,
    and a token wherever people type, in its address and in its form. Whatever it did is undone,
    so that the next route finds all as it was. Returns how many answered."""
    User.objects.filter(pk=world.mary.user_id).update(is_staff=True, is_superuser=True)
    side = build("Initech", world.mary.user, UserFactory.create(), timezone.now())
    browser, served = world.signed_in(), 0
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    key = issue(side.person, role=Role.ADMINISTRATORS, at=timezone.now()).key.spell()
    caller = world.browser(headers={"Authorization": f"APIKey {key}"})
    fields = {name: f"{number:02}{'q7w8' * 6}" for number, name in enumerate(sorted(SECRET_FIELDS))}
    fields |= dict.fromkeys(("q", "name", "email", "login", "username", "description", "text"), key)
    for name, secret in fields.items():
        world.planted.add(name if name in SECRET_FIELDS else "token that was typed", secret)
    newest = AuditEvent.objects.latest("pk").pk
    for route in routes():
        address = _address(world, side, route)
        methods = ("get", "post", "options", *(("put", "patch", "delete") * route.is_call))
        cache.clear()
        with transaction.atomic():
            for method in methods:
                typed = {"content_type": JSON} if route.is_call and method != "get" else {}
                client = caller if route.is_call else browser
                answer = getattr(client, method)(address, fields, **typed)
                served += answer.status_code < 400
                world.browser(HTTP_REFERER=f"http://localhost/?token={key}").get(address)
            world.audit += map(str, AuditEvent.objects.filter(pk__gt=newest).values())
            transaction.set_rollback(True)
    return served


def _address(world: World, side: Side, route: Route) -> str:
    """The address of something of Mary's, or of nothing."""
    if "account_id" in route.arguments and not route.name.startswith("api-"):
        return side.address(route)
    known = {"account_id": side.account.pk, "client_id": side.account.pk, "pk": side.token.pk}
    known |= {"user_id": side.colleague.user_id, "service_account_id": side.service.pk}
    texts = {"slug": world.connection.slug, "app_label": "accounts", "page": "profile/users/"}
    values = {name: known.get(name, 1) if is_id(name) else "x" for name in route.arguments}
    return reverse(
        route.name, kwargs=values | {n: texts[n] for n in texts.keys() & set(route.arguments)}
    )


KINDS = {
    *("session key", "recovery code", "secret of an app", *OF_SETTINGS),
    *("APIKey of a header", "Bearer of a header", "token that was typed", *SECRET_FIELDS),
    *(route.name for route in secret_routes()),
}
"""What was about at the least."""

# --- Where they are looked for -----------------------------------------------------------------


@pytest.fixture
def loudest(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """All that is logged where LOG_LEVEL is DEBUG."""
    for name, facts in logging_settings(level="DEBUG", form="text")["loggers"].items():
        monkeypatch.setattr(logging.getLogger(name), "level", getattr(logging, facts["level"]))
        logging.getLogger(name).manager._clear_cache()  # type: ignore[attr-defined]
    return written


def test_secret_that_is_told_is_found(world: World) -> None:
    """Without this, a search that finds nothing would make the test below pass."""
    world.planted.add("session key", "k3v9" * 8)
    world.planted.add("code", WRONG_CODE)
    world.planted.add("APIKey of a header", f"123456789${'0a1b' * 18}")
    assert world.planted.in_text(f"GET / of {'k3v9' * 8} code={WRONG_CODE}, {'0a1b' * 18}") == {
        "session key",
        "code",
        "APIKey of a header",
    }
    assert world.planted.in_text(f"12:00:00.{WRONG_CODE}7 {WRONG_CODE}0") == set()


@pytest.mark.parametrize("debug", [False, True])
def test_no_secret_is_told(
    world: World, loudest: io.StringIO, settings: Settings, debug: bool
) -> None:
    settings.DEBUG = debug
    # Time stands still: no other part of a second could look like a one-time code.
    moment = datetime.now(UTC).replace(microsecond=250_000)
    with time_machine.travel(moment, tick=False), whole_way():
        for way in WAYS:
            cache.clear()  # no limit is what refuses
            way(world)
        if not debug:  # Django's own pages show their reader what was sent
            assert everywhere(world) > 400
    planted = world.planted
    caller = world.browser(headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    places = {
        "log": loudest.getvalue(),
        "audit log": "\n".join([*world.audit, *map(str, AuditEvent.objects.values())]),
        "metrics": caller.get("/metrics").content.decode(),
        # With DEBUG Django's own page says to its reader which address was not found.
        "error pages": "\n".join(
            text for status, text in planted.error_pages if status != 404 or not debug
        ),
    }

    told = {place: planted.in_text(text) for place, text in places.items()}
    assert told == {place: set() for place in places}
    assert debug or set(planted.by_kind) >= KINDS
    assert planted.unknown_cookies == set(), "Say in traffic.py whether they are secret."
    assert min(map(len, places.values())) > 5_000
