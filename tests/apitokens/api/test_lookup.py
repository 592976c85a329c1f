"""A found token looked up by the API: whose it is, told to Administrators, and nothing is kept."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership, User
from accounts.roles import Role
from apitokens.keys import Key
from apitokens.models import APIToken, Status
from apitokens.tokens import rotation
from tests.conftest import Api, Issue
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db

URL = f"/iam/clients/{ACCOUNT_ID}/tokens/look_up"
URL_V2 = URL.replace("/iam/", "/iam/v2/")
UNKNOWN = {
    "message": "No API token matches. It may belong to another account, or have been deleted more "
    "than 90 days ago.",
    "code": "unknown",
}


@pytest.fixture
def caller(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    return api(issue(administrator, role=Role.ADMINISTRATORS).key)


def look_up(caller: APIClient, found: str, url: str = URL) -> Any:
    return caller.post(url, {"token": found}, format="json")


@pytest.mark.parametrize("url", [URL, URL_V2])
@pytest.mark.parametrize("found", ["{}", " {}\r\n", 'GET /?key={} "200"\t-', "\x1b[1m {}\x1b[0m"])
@pytest.mark.parametrize("separator", ["$", "_", "%24"])
def test_whole_token_is_found_wherever_it_stands(
    caller: APIClient,
    user: Membership,
    issue: Issue,
    now: datetime,
    nothing_kept: list[Key],
    url: str,
    found: str,
    separator: str,
) -> None:
    token, key = issue(user, name="Nightly backup")
    nothing_kept.append(key)
    APIToken.objects.filter(pk=token.pk).update(last_used_at=now)
    answer = look_up(caller, found.format(key.spell().replace("$", separator)), url)
    assert answer.status_code == 200
    assert key.secret not in answer.content.decode()
    told = answer.json()
    one = caller.get(f"/iam/clients/{ACCOUNT_ID}/tokens/{token.pk}").json()
    assert told == one | {"status": "active", "works": True, "is_old_secret": False}
    assert (told["name"], told["client_user"]["user_id"]) == ("Nightly backup", user.user_id)
    assert told["last_usage"] == f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("status", Status)
def test_every_status_is_told(
    caller: APIClient, token_with: Callable[[Status], Key], status: Status
) -> None:
    key = token_with(status)
    told = look_up(caller, key.spell()).json()
    assert (told["status"], told["works"]) == (status.value, status is Status.ACTIVE)


def test_token_of_a_deactivated_issuer_is_not_said_to_work(
    caller: APIClient, user: Membership, issue: Issue
) -> None:
    key = issue(user).key
    User.objects.filter(pk=user.user_id).update(is_active=False)
    told = look_up(caller, key.spell()).json()
    assert (told["status"], told["works"]) == ("issuer_inactive", False)


def test_old_secret_of_a_rotated_token_is_found_too(
    caller: APIClient, administrator: Membership, issue: Issue
) -> None:
    token, old = issue(administrator)
    by = Actor.member(administrator)
    new = rotation.rotate(token=token, by=by, at=timezone.now()).key

    def told(key: Key) -> tuple[str, bool, bool]:
        body = look_up(caller, key.spell()).json()
        return body["status"], body["works"], body["is_old_secret"]

    assert (told(old), told(new)) == (("active", True, True), ("active", True, False))
    rotation.end_old_secret(token=token, by=by, at=timezone.now())
    assert (told(old), told(new)) == (("active", False, True), ("active", True, False))


@pytest.mark.both
def test_wrong_secret_other_account_and_unknown_id_are_answered_alike(
    caller: APIClient, user: Membership, stranger: Membership, issue: Issue, nothing_kept: list[Key]
) -> None:
    own, elsewhere = issue(user).key, issue(stranger).key
    look_up(caller, own.spell())
    told = set()
    for key in (Key(own.id, "0" * 64), elsewhere, Key(5, "0" * 64)):
        nothing_kept.append(key)
        with CaptureQueriesContext(connection) as queries:
            answer = look_up(caller, key.spell())
        assert (answer.status_code, answer.json()) == (404, UNKNOWN)
        told.add(len(queries))
    assert len(told) == 1
    assert AuditEvent.objects.filter(kind="token.looked_up").count() == 1


def test_look_up_leaves_an_event_of_who_asked(
    administrator: Membership, user: Membership, issue: Issue, api: Api
) -> None:
    (token, key), asking = issue(user), issue(administrator, role=Role.ADMINISTRATORS)
    look_up(api(asking.key), key.spell())
    event = AuditEvent.objects.get(kind="token.looked_up")
    assert (event.user, event.subject_id) == (administrator.user, token.pk)
    assert event.through_token == asking.token.pk


def test_others_than_administrators_may_not(
    administrator: Membership, engineer: Membership, issue: Issue, api: Api
) -> None:
    own = issue(engineer)
    weak = issue(administrator, role=Role.USERS)
    for asking in (own.key, weak.key):
        for found in (own.key.spell(), "nothing of the kind"):
            answer = look_up(api(asking), found)
            assert answer.status_code == 403
            assert answer.json() == {"message": "Only Administrators look up tokens."}
    assert not AuditEvent.objects.filter(kind="token.looked_up").exists()


def test_token_that_may_only_read_looks_up_and_deletes_nothing(
    administrator: Membership, issue: Issue, api: Api
) -> None:
    reader = api(issue(administrator, role=Role.ADMINISTRATORS, scopes=["tokens:read"]).key)
    token, key = issue(administrator)
    assert look_up(reader, key.spell()).json()["id"] == token.pk
    assert reader.delete(f"/iam/clients/{ACCOUNT_ID}/tokens/{token.pk}").status_code == 403


def test_failed_look_ups_shut_nobody_out(
    caller: APIClient, settings: Any, user: Membership, issue: Issue
) -> None:
    """Who asks is known, and 256 bits cannot be guessed: a log full of dead tokens is no attack."""
    settings.REFUSAL_RATE = 2
    for _each in range(5):
        assert look_up(caller, Key(5, "0" * 64).spell()).status_code == 404
    assert look_up(caller, issue(user).key.spell()).status_code == 200


NO_TEXT: list[Any] = ["", " ", "\0", "\ud800", None, 5, True, [], {}, ["1$2"]]
ONLY_ID, NOT_WHOLE = "This is only the ID.", "This isn't a complete API token."


@pytest.mark.both
@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ("123456789", ONLY_ID),
        ("123456789$", ONLY_ID),
        ("123456789$" + "0" * 71, NOT_WHOLE),
        ("123456789$" + "0" * 72, NOT_WHOLE),
        ("99999999999999999999$" + "0" * 72, NOT_WHOLE),
        ("nothing of the kind", NOT_WHOLE),
        ("x" * 4_001, "no more than 4000 characters"),
        *((value, "") for value in NO_TEXT),
    ],
)
def test_what_is_no_token_is_told(caller: APIClient, found: Any, sentence: str) -> None:
    answer = caller.post(URL, json.dumps({"token": found}), content_type="application/json")
    assert answer.status_code == 400
    errors = answer.json()["errors"]
    assert list(errors) == ["token"]
    assert sentence in errors["token"][0]
    assert not isinstance(found, str) or len(found) < 12 or found not in answer.content.decode()


@pytest.mark.parametrize("body", ["", "{}", "[]", '"x"', "null", "{", '{"tokens": "x"}'])
def test_body_without_a_token_is_refused(caller: APIClient, body: str) -> None:
    answer = caller.post(URL, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_token_in_the_address_is_not_looked_at(
    caller: APIClient, issue: Issue, user: Membership
) -> None:
    answer = caller.post(f"{URL}?token={issue(user).key.spell('_')}", {}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["token"])
