"""Who may call the API, and what everybody else is told."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership, User
from apitokens import keys
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from tests.conftest import Api, Issue, SignIn

pytestmark = pytest.mark.django_db

ME = "/iam/users/me"
BAD, ENDED = "Bad permanent token", "Token is invalid or expired"
NOBODY = {"message": "Authentication credentials were not provided."}
URLS = [
    "/iam/users/me",
    "/iam/clients/me",
    "/iam/clients/1/tokens",
    "/iam/v2/clients/1/tokens",
    "/iam/clients/1/tokens/5",
    "/iam/v2/clients/1/tokens/5",
]


@pytest.fixture
def key(user: Membership, issue: Issue) -> Key:
    return issue(user).key


def ask(header: str) -> Any:
    return APIClient().get(ME, headers={"Authorization": header})


@pytest.mark.parametrize("url", URLS)
def test_every_address_asks_for_credentials(url: str) -> None:
    answer = APIClient().get(url)
    assert (answer.status_code, answer.json()) == (401, NOBODY)
    assert answer["WWW-Authenticate"].startswith("APIKey")


@pytest.mark.parametrize("scheme", ["APIKey", "apikey", "APIKEY", "ApiKey", "aPIkEY"])
def test_scheme_is_read_in_any_case(key: Key, scheme: str) -> None:
    assert ask(f"{scheme} {key.spell()}").status_code == 200


@pytest.mark.parametrize("separator", ["$", "_"])
def test_both_spellings_authenticate(key: Key, separator: keys.Separator) -> None:
    assert ask(f"APIKey {key.spell(separator)}").status_code == 200


def test_blanks_around_the_token_do_not_matter(key: Key) -> None:
    assert ask(f" APIKey   {key.spell()}  ").status_code == 200


def test_header_that_the_server_has_emptied_is_malformed() -> None:
    """As it does with one that is not ASCII: an invisible character was copied along."""
    answer = ask("")
    assert (answer.status_code, answer.json()["code"]) == (401, "malformed")


@pytest.mark.parametrize("header", [" ", "Basic dXNlcjpwYXNz", "Token abc", "Digest x", "$$$"])
def test_other_schemes_are_no_credentials(header: str) -> None:
    answer = ask(header)
    assert (answer.status_code, answer.json()) == (401, NOBODY)


def test_token_without_its_scheme_is_no_credential(key: Key) -> None:
    assert ask(key.spell()).json() == NOBODY


@pytest.mark.parametrize("token", ["", "x", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"])
def test_bearer_is_told_invalid(token: str) -> None:
    answer = ask(f"Bearer {token}")
    assert (answer.status_code, answer.json()["message"]) == (401, ENDED)


def test_good_token_is_no_bearer_token(key: Key) -> None:
    assert ask(f"Bearer {key.spell()}").status_code == 401


@pytest.mark.parametrize(
    "text", ["", "x", "5$x", "null", "é", "\0", "5" * 10_000, "a b", "{}", "5\udcff"]
)
def test_text_that_is_no_token_is_told_malformed(text: str) -> None:
    answer = APIClient().get(ME, HTTP_AUTHORIZATION=f"APIKey {text}")
    assert answer.status_code == 401
    assert answer.json() == {
        "message": BAD,
        "code": "malformed",
        "hint": "This is not an API token. Check that you copied all of it.",
    }


def test_id_that_arrives_alone_is_explained(key: Key) -> None:
    told = ask(f"APIKey {key.id}").json()
    assert (told["message"], told["code"]) == (BAD, "malformed")
    assert "token_truncated" in told["hint"]
    assert "single quotes" in told["hint"]


def test_several_tokens_in_one_header_are_none(key: Key) -> None:
    answer = ask(f"APIKey {key.spell()}, APIKey {key.spell()}")
    assert (answer.status_code, answer.json()["code"]) == (401, "malformed")


def test_unknown_token_is_told_so() -> None:
    answer = ask(f"APIKey {keys.make(5).spell()}")
    assert answer.status_code == 401
    assert answer.json() == {
        "message": BAD,
        "code": "unknown",
        "hint": "This API token doesn't exist.",
    }


def test_wrong_secret_is_told_like_an_unknown_token(key: Key) -> None:
    wrong, unknown = Key(key.id, "0" * 64), keys.make(5)
    answers = [ask(f"APIKey {each.spell()}") for each in (wrong, unknown)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers == answers[1].headers


def test_expired_token_is_told_so(user: Membership, issue: Issue, now: datetime) -> None:
    key = issue(user, at=now - timedelta(days=2), expires_at=now - timedelta(days=1)).key
    answer = ask(f"APIKey {key.spell()}")
    assert answer.status_code == 401
    assert answer.json() == {
        "message": ENDED,
        "code": "expired",
        "hint": "The API token has expired. Create a new one.",
    }


def test_deleted_token_is_told_so(user: Membership, key: Key, now: datetime) -> None:
    token = APIToken.objects.get(pk=key.id)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    answer = ask(f"APIKey {key.spell()}")
    assert answer.status_code == 401
    assert answer.json() == {
        "message": ENDED,
        "code": "deleted",
        "hint": "The API token was deleted. Create a new one.",
    }


def test_token_of_a_deactivated_user_is_told_so(user: Membership, key: Key) -> None:
    User.objects.update(is_active=False)
    answer = ask(f"APIKey {key.spell()}")
    assert answer.status_code == 401
    assert (answer.json()["message"], answer.json()["code"]) == (ENDED, "issuer_inactive")


@pytest.mark.parametrize("ending", ["expired", "deleted"])
def test_wrong_secret_of_an_ended_token_is_told_unknown(
    user: Membership, issue: Issue, now: datetime, ending: str
) -> None:
    token, key = issue(user, at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    if ending == "deleted":
        token_services.delete(token=token, by=Actor.member(user), at=now)
    assert ask(f"APIKey {Key(key.id, '0' * 64).spell()}").json()["code"] == "unknown"


@pytest.mark.parametrize("place", ["query", "body", "cookie"])
def test_token_is_taken_from_the_header_only(key: Key, place: str) -> None:
    client = APIClient()
    if place == "cookie":
        client.cookies["Authorization"] = f"APIKey {key.spell()}"
    url = f"{ME}?api_key={key.spell()}&Authorization=APIKey%20{key.spell()}"
    asked: Any = client.get(url if place == "query" else ME)
    if place == "body":
        asked = client.post(ME, {"Authorization": f"APIKey {key.spell()}"}, format="json")
    assert (asked.status_code, asked.json()) == (401, NOBODY)


def test_person_signed_in_to_the_portal_is_nobody_to_the_api(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    sign_in(client, user)
    assert client.get(ME).status_code == 401


def test_use_is_written_down_with_the_address_of_the_client(key: Key) -> None:
    APIClient().get(
        ME, headers={"Authorization": f"APIKey {key.spell()}"}, REMOTE_ADDR="192.0.2.77"
    )
    assert APIToken.objects.get(pk=key.id).last_used_address == "192.0.2.77"


def test_address_that_a_stranger_claims_is_not_written_down(key: Key) -> None:
    headers = {"Authorization": f"APIKey {key.spell()}", "X-Forwarded-For": "203.0.113.1"}
    APIClient().get(ME, headers=headers, REMOTE_ADDR="192.0.2.77")
    assert APIToken.objects.get(pk=key.id).last_used_address == "192.0.2.77"


def test_what_a_token_does_is_audited_as_done_through_it(
    administrator: Membership, issue: Issue, api: Api
) -> None:
    token, key = issue(administrator)
    url = f"/iam/clients/{administrator.account_id}/tokens"
    asked: dict[str, Any] = {"name": "CI", "exp_date": None, "client_user": {}}
    made = api(key).post(url, asked, format="json").json()
    event = AuditEvent.objects.get(kind="token.issued", subject_id=made["id"])
    assert (event.through, event.through_token, event.user, event.address) == (
        "api",
        token.pk,
        administrator.user,
        "127.0.0.1",
    )


def test_good_token_costs_two_queries_beside_those_of_the_call(
    key: Key, api: Api, django_assert_num_queries: Any
) -> None:
    client = api(key)
    client.get(ME)
    # The token, the member in whose name it acts, and what the call tells of them.
    with django_assert_num_queries(3):
        client.get(ME)
