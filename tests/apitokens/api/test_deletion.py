"""Several tokens deleted by one call: what became of each is said, and nothing of others."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from notifications.models import Notice
from tests.conftest import Api, Issue
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db

URL = f"/iam/clients/{ACCOUNT_ID}/tokens/delete"
VERSIONS = pytest.mark.parametrize("url", [URL, URL.replace("/iam/", "/iam/v2/")], ids=["v1", "v2"])
NO_ID = 5
NO_IDS: list[Any] = [None, "", "x", "1.0", 1.5, True, [], {}, "\0", "٣"]


@pytest.fixture
def caller(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    return api(issue(administrator, role=Role.ADMINISTRATORS).key)


def made(issue: Issue, member: Membership, count: int, **facts: Any) -> list[int]:
    return [issue(member, name=f"No. {number}", **facts).token.pk for number in range(count)]


def delete(caller: APIClient, ids: list[Any], url: str = URL) -> Any:
    return caller.post(url, {"tokens": ids}, format="json")


def undeleted() -> set[int]:
    return set(APIToken.objects.undeleted().values_list("pk", flat=True))


@VERSIONS
def test_each_token_stands_where_it_belongs(
    caller: APIClient, user: Membership, stranger: Membership, issue: Issue, url: str
) -> None:
    first, second, gone, kept = made(issue, user, 4)
    (elsewhere,) = made(issue, stranger, 1)
    delete(caller, [gone])
    answer = delete(caller, [second, NO_ID, gone, first, elsewhere, second, str(first)], url)
    assert answer.status_code == 200
    assert answer.json() == {
        "deleted": [second, first],
        "already_deleted": [gone],
        "not_found": [NO_ID, elsewhere],
    }
    assert {kept, elsewhere} <= undeleted()
    assert not {first, second} & undeleted()
    assert AuditEvent.objects.filter(kind="token.deleted").count() == 3


def test_deletion_is_in_force_when_it_is_answered(
    caller: APIClient, user: Membership, issue: Issue
) -> None:
    issued = [issue(user) for _each in range(2)]
    headers = [{"Authorization": f"APIKey {each.key.spell()}"} for each in issued]
    assert all(
        Client().get("/iam/auth/verify", headers=each).status_code == 200 for each in headers
    )
    delete(caller, [each.token.pk for each in issued])
    for each in headers:
        answer = Client().get("/iam/auth/verify", headers=each)
        assert (answer.status_code, answer.json()["code"]) == (401, "deleted")


def test_request_can_be_repeated(caller: APIClient, user: Membership, issue: Issue) -> None:
    ids = made(issue, user, 2)
    delete(caller, ids)
    assert delete(caller, ids).json() == {"deleted": [], "already_deleted": ids, "not_found": []}
    assert AuditEvent.objects.filter(kind="token.deleted").count() == 2


def test_issuer_is_told_once(caller: APIClient, user: Membership, issue: Issue) -> None:
    ids = made(issue, user, 3)
    Notice.objects.all().delete()
    delete(caller, ids)
    assert "deleted 3 of your API tokens" in Notice.objects.get(user=user.user).title


def test_expired_tokens_are_deleted_too(
    caller: APIClient, user: Membership, issue: Issue, now: datetime
) -> None:
    before = now - timedelta(days=9)
    ids = made(issue, user, 1, at=before, expires_at=before + timedelta(days=1))
    assert delete(caller, ids).json()["deleted"] == ids


def test_others_delete_their_own_only(
    administrator: Membership, user: Membership, issue: Issue, api: Api
) -> None:
    (own,), (strange,) = made(issue, user, 1), made(issue, administrator, 1)
    answer = delete(api(issue(user).key), [own, strange, NO_ID])
    assert answer.json() == {"deleted": [own], "already_deleted": [], "not_found": [strange, NO_ID]}
    assert strange in undeleted()


@pytest.mark.parametrize("limits", [{"role": Role.USERS}, {"scopes": ["tokens:write"]}])
def test_token_deletes_none_if_one_may_do_more_than_itself(
    engineer: Membership, issue: Issue, api: Api, limits: dict[str, Any]
) -> None:
    weak = issue(engineer, **limits)
    (alike,) = made(issue, engineer, 1, **limits)
    strong = made(issue, engineer, 2, role=Role.ENGINEERS)
    answer = delete(api(weak.key), [alike, *strong])
    assert answer.status_code == 403
    said = answer.json()
    assert said["message"] == "You don't have permission to delete these API tokens."
    assert all(str(each) in said["hint"] for each in strong)
    assert str(alike) not in said["hint"]
    assert {alike, *strong} <= undeleted()
    events = AuditEvent.objects.filter(kind="token.delete_refused")
    assert {event.subject_id for event in events} == set(strong)
    assert {event.through_token for event in events} == {weak.token.pk}
    assert delete(api(weak.key), [alike]).json()["deleted"] == [alike]


def test_token_may_delete_itself_among_others(
    administrator: Membership, issue: Issue, api: Api
) -> None:
    token, key = issue(administrator)
    (other,) = made(issue, administrator, 1)
    caller = api(key)
    assert delete(caller, [token.pk, other]).json()["deleted"] == [token.pk, other]
    assert delete(caller, [other]).status_code == 401


def test_as_many_are_taken_as_on_the_page(
    caller: APIClient, user: Membership, issue: Issue
) -> None:
    (own,) = made(issue, user, 1)
    numbers = range(100_000_001, 100_000_500)
    assert delete(caller, [own, *numbers, 7]).status_code == 400
    assert own in undeleted()
    assert delete(caller, [own, *numbers]).json()["deleted"] == [own]


@pytest.mark.both
def test_deletion_costs_the_same_queries_for_any_number_of_tokens(
    caller: APIClient, user: Membership, issue: Issue
) -> None:
    def queries(count: int) -> int:
        ids = made(issue, user, count)
        with CaptureQueriesContext(connection) as captured:
            assert delete(caller, ids).json()["deleted"] == ids
        return len(captured)

    queries(1)
    assert queries(20) == queries(2)


@pytest.mark.both
@pytest.mark.parametrize(
    "body",
    [
        *({}, {"tokens": None}, {"tokens": []}, {"tokens": {}}, {"tokens": "all"}, {"tokens": 5}),
        *({"tokens": [each]} for each in NO_IDS),
        *({"tokens": ["\ud800"]}, {"tokens": [[1]]}, {"token": [1]}, {"tokens": [1, "x"]}),
        *([], "tokens", 5, None),
    ],
)
def test_what_is_no_list_of_ids_deletes_nothing(
    caller: APIClient, user: Membership, issue: Issue, body: Any
) -> None:
    made(issue, user, 1)
    before = undeleted()
    answer = caller.post(URL, json.dumps(body), content_type="application/json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) in (["tokens"], ["errors"])
    assert undeleted() == before


@pytest.mark.both
@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30, "9" * 18, "9" * 19])
def test_number_that_no_token_has_is_not_found(caller: APIClient, number: Any) -> None:
    answer = delete(caller, [number])
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert answer.json()["not_found"] == [int(number)]
