"""What is shown once is shown, though the database goes away the moment it is committed."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.db.backends.utils import CursorWrapper
from django.template import Template
from django.test import Client
from django.urls import reverse

from accounts.models import Membership
from accounts.roles import Role
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.pages.listing import listing
from apitokens.pages.reveal import Reveal
from tests.config.database.conftest import API, CREATE, FORM, LIST, NEW
from tests.conftest import Api, Issue, SignIn
from tests.factories import PASSWORD, UserFactory
from tests.questions import hidden_fields

pytestmark = pytest.mark.django_db(transaction=True)

REVEAL = "apitokens.pages.reveal"
TOKEN = re.compile(r"[1-9][0-9]{8}\$[0-9a-f]{72}")
VERIFIER = re.compile(r"verifier_[1-9][0-9]{8}_[0-9a-f]{72}")

JSON = "application/json"

GoesAway = Callable[[str], None]


@pytest.fixture
def goes_away_after() -> Iterator[GoesAway]:
    """`goes_away_after(table)`: once a change of this table is committed, nothing else works."""
    own = connections["default"]
    changed, committed = list[str](), list[bool]()

    def execute(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if committed:
            raise OperationalError("The database is away.")
        result = execute(sql, params, many, context)
        if sql.startswith(("INSERT", "UPDATE")) and tables[0] in sql:
            changed.append(sql)
        return result

    def commit() -> None:
        type(own).commit(own)
        if changed:
            committed.append(True)

    tables: list[str] = []
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:

        def act(table: str) -> None:
            tables.append(table)
            patch.setattr(own, "commit", commit)
            stack.enter_context(own.execute_wrapper(execute))

        yield act
    assert committed, "Nothing was committed."


def test_new_token_is_shown_on_its_page(browser: Client, goes_away_after: GoesAway) -> None:
    goes_away_after("apitokens_apitoken")
    answer = browser.post(CREATE, FORM)

    assert answer.status_code == 200
    assert TOKEN.search(answer.content.decode())
    assert "New API token created" in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]


def test_new_token_is_shown_although_the_session_was_signed_out_meanwhile(
    client: Client, administrator: Membership, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last save fails, because another tab has deleted it."""
    sign_in(client, administrator)

    def listing_after_sign_out(*query: Any, **facts: Any) -> Any:
        client.session.delete()
        return listing(*query, **facts)

    monkeypatch.setattr(f"{REVEAL}.listing", listing_after_sign_out)
    session = client.session
    session["_messages"] = '[["__json_message",0,25,"Said before","" ]]'
    session.save()
    answer = client.post(CREATE, FORM)

    assert answer.status_code == 200
    assert TOKEN.search(answer.content.decode())


@pytest.mark.parametrize(
    "place",
    [
        f"{REVEAL}.listing",
        "accounts.tenancy.context_processors.memberships_of",
        "apitokens.pages.context_processors.APIToken.objects.visible_to",
        "notifications.tasks.deliver_mails.apply_async",
    ],
)
def test_new_token_is_shown_whatever_else_fails(
    browser: Client, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(place, fails)
    answer = browser.post(CREATE, FORM)

    assert answer.status_code == 200
    assert TOKEN.search(answer.content.decode())


@pytest.mark.parametrize(
    "places",
    [
        [f"{REVEAL}.samples"],
        [
            f"{REVEAL}.render",
            f"{REVEAL}.render_to_string",
        ],
    ],
)
def test_token_that_cannot_be_shown_is_not_created(
    browser: Client, monkeypatch: pytest.MonkeyPatch, places: list[str]
) -> None:
    with monkeypatch.context() as patch:
        for place in places:
            patch.setattr(place, fails)
        assert browser.post(CREATE, FORM).status_code == 500
    assert not APIToken.objects.exists()

    assert TOKEN.search(browser.post(CREATE, FORM).content.decode()), "the same form is good"


def test_nothing_is_read_or_rendered_once_the_token_is_there(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = list[str]()
    show = Reveal.show

    def shown(reveal: Reveal, key: Key) -> Any:
        for place in ("execute", "executemany"):
            patch.setattr(CursorWrapper, place, lambda *_arguments: happened.append("read"))
        patch.setattr(Template, "render", lambda *_arguments: happened.append("rendered"))
        return show(reveal, key)

    with monkeypatch.context() as patch:
        patch.setattr(Reveal, "show", shown)
        answer = browser.post(CREATE, FORM)

    assert TOKEN.search(answer.content.decode())
    assert happened == []


def test_new_token_is_shown_by_the_api(
    api: Api, issue: Issue, administrator: Membership, goes_away_after: GoesAway
) -> None:
    caller = api(issue(administrator).key)
    caller.get(API)
    goes_away_after('INTO "apitokens_apitoken"')
    answer = caller.post(API, NEW, format="json")

    assert answer.status_code == 200
    assert TOKEN.fullmatch(answer.json()["token"])


@pytest.mark.parametrize("grace", ["0", "24"])
def test_new_secret_is_shown_on_the_page_of_the_rotation(
    browser: Client, issue: Issue, user: Membership, goes_away_after: GoesAway, grace: str
) -> None:
    token = issue(user).token
    url = f"{LIST}{token.pk}/rotate/"
    hidden = hidden_fields(browser, url)
    goes_away_after('UPDATE "apitokens_apitoken"')
    answer = browser.post(url, {**hidden, "grace": grace, "expiration": "keep"})

    assert answer.status_code == 200
    shown = TOKEN.search(answer.content.decode())
    assert shown is not None
    assert shown[0].startswith(f"{token.pk}$")
    assert "API token rotated" in answer.content.decode()


def test_new_secret_is_shown_by_the_api(
    api: Api, issue: Issue, administrator: Membership, goes_away_after: GoesAway
) -> None:
    token, key = issue(administrator, role=Role.ADMINISTRATORS)
    caller = api(key)
    caller.get(API)
    goes_away_after('UPDATE "apitokens_apitoken"')
    answer = caller.post(f"{API}/{token.pk}/rotate", {}, format="json")

    assert answer.status_code == 200
    assert TOKEN.fullmatch(answer.json()["token"])


def test_new_verifier_key_is_shown_to_operators(goes_away_after: GoesAway) -> None:
    operator, browser = UserFactory.create(is_staff=True, is_superuser=True), Client()
    browser.force_login(operator)
    goes_away_after("apitokens_verifierkey")
    answer = browser.post(reverse("admin:apitokens_verifierkey_add"), {"name": "Video storage"})

    assert answer.status_code == 200
    assert VERIFIER.search(answer.content.decode())


@pytest.mark.parametrize("command", ["issue_token", "issue_verifier"])
def test_command_shows_what_it_issued(
    command: str, administrator: Membership, goes_away_after: GoesAway
) -> None:
    shown = io.StringIO()
    goes_away_after("apitokens_apitoken" if command == "issue_token" else "apitokens_verifierkey")
    run(command, administrator, stdout=shown, stderr=Closed())

    assert (TOKEN.fullmatch if command == "issue_token" else VERIFIER.fullmatch)(
        shown.getvalue().strip()
    )


def test_command_names_a_token_that_could_not_be_written(administrator: Membership) -> None:
    with pytest.raises(CommandError) as refused:
        run("issue_token", administrator, stdout=Closed())

    assert str(APIToken.objects.get().pk) in str(refused.value)


def test_recovery_codes_are_shown(
    client: Client, user: Membership, sign_in_now: SignIn, goes_away_after: GoesAway
) -> None:
    sign_in_now(client, user)
    codes = RecoveryCodes.activate(user.user)
    goes_away_after("mfa_authenticator")
    page = client.get(reverse("mfa_view_recovery_codes"))

    assert codes.get_unused_codes()[0] in page.content.decode()


def test_recovery_codes_that_were_not_shown_are_shown_next_time(
    client: Client, user: Membership, sign_in_now: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in_now(client, user)
    codes, page = RecoveryCodes.activate(user.user), reverse("mfa_view_recovery_codes")
    client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr("notifications.inbox.context_processors._count", away)
        assert client.get(page).status_code == 503

    assert codes.get_unused_codes()[0] in client.get(page).content.decode()


def test_refreshed_pair_is_shown(
    client: Client, user: Membership, goes_away_after: GoesAway, now: datetime
) -> None:
    credentials = {"username": user.user.email, "password": PASSWORD}
    pair = client.post("/iam/auth/jwt/login", credentials, JSON).json()
    goes_away_after("accounts_tokenfamily")
    answer = client.post("/iam/auth/jwt/refresh", {"refresh": pair["refresh"]}, JSON)

    assert answer.status_code == 200
    assert answer.json()["refresh"] != pair["refresh"]


class Closed(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def fails(*_arguments: object, **_facts: object) -> Any:
    raise RuntimeError("A fault.")


def away(*_arguments: object) -> int:
    raise OperationalError("The database is away.")


def run(command: str, member: Membership, **streams: Any) -> None:
    facts = {
        "account": str(member.account_id),
        "issuer": member.user.email,
        "role": "Users",
        "name": "Nightly backup",
    }
    if command == "issue_token":
        call_command(command, **facts, **streams)
    else:
        call_command(command, "Video storage", **streams)
