"""The tokens of an account through the REST API, v1 and v2, as the wire has it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import suspension
from accounts.models import Membership, User
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from tests.conftest import Api, Issue
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

VERSIONS = {"v1": "/iam/clients", "v2": "/iam/v2/clients"}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NEW: dict[str, Any] = {"name": "CI", "exp_date": None, "client_user": {"role": {"id": 2}}}
NO_TOKEN = {"message": "API token not found."}
NO_ACCOUNT = {"message": "Account not found."}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tokens_url(version: str, administrator: Membership) -> str:
    """The tokens of the account, in either version."""
    return f"{VERSIONS[version]}/{administrator.account_id}/tokens"


@pytest.fixture
def admin_api(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    """A client with an Administrators token, which is in the account's list too."""
    return api(issue(administrator, name="Caller", role=Role.ADMINISTRATORS).key)


@pytest.fixture
def user_api(user: Membership, issue: Issue, api: Api) -> APIClient:
    """A client with a token of the member with the weakest role."""
    return api(issue(user, name="Caller of the user").key)


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [each["name"] for each in answer.json()]


# --- List --------------------------------------------------------------------------------------


def test_list_is_a_bare_array_of_tokens_as_the_wire_has_them(
    admin_api: APIClient, tokens_url: str, engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(
        engineer,
        name="CI",
        description="Builds",
        role=Role.PURGE_AND_PREFETCH_API,
        expires_at=datetime(2040, 1, 1, 12, tzinfo=UTC),
        at=datetime(2021, 1, 1, 12, tzinfo=UTC),
    )
    listed = admin_api.get(tokens_url)
    assert listed.status_code == 200
    assert listed.json()[0] == {
        "id": token.pk,
        "name": "CI",
        "description": "Builds",
        "exp_date": "2040-01-01T12:00:00.000000Z",
        "created": "2021-01-01T12:00:00.000000Z",
        "deleted": False,
        "expired": False,
        "last_usage": "",
        "client_user": {
            "deleted": False,
            "user_id": engineer.user_id,
            "user_name": engineer.user.name,
            "user_email": engineer.user.email,
            "service_account": False,
            "client_id": engineer.account_id,
            "role": {"id": 3022, "name": "Purge and Prefetch only (API)"},
        },
        "rotations": 0,
        "rotated": None,
        "old_secret": None,
        "scopes": None,
        "allowed_addresses": [],
    }


@pytest.mark.both
@pytest.mark.parametrize("why", ["suspended", "deactivated"])
def test_token_whose_issuer_is_stopped_is_neither_deleted_nor_expired(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue, now: datetime, why: str
) -> None:
    token = issue(user, name="Stopped").token
    if why == "suspended":
        user.sso_at = now - timedelta(days=40)
        user.save()
        by = Actor.operator(through=EntryPoint.SYSTEM)
        assert suspension.suspend_tokens(membership=user, by=by, at=now)
    else:
        User.everyone.filter(pk=user.user_id).update(is_active=False)
    listed = {each["name"]: each for each in admin_api.get(tokens_url).json()}["Stopped"]
    single = admin_api.get(f"{tokens_url}/{token.pk}").json()
    for seen in (listed, single):
        assert (seen["deleted"], seen["expired"]) == (False, False)
    assert "Stopped" in names(admin_api.get(tokens_url, {"deleted": "false"}))


@pytest.mark.both
def test_administrator_lists_all_tokens_of_the_account_oldest_first(
    admin_api: APIClient, tokens_url: str, engineer: Membership, issue: Issue, now: datetime
) -> None:
    issue(engineer, name="Older", at=now - timedelta(days=2))
    issue(engineer, name="Oldest", at=now - timedelta(days=3))
    assert names(admin_api.get(tokens_url)) == ["Oldest", "Older", "Caller"]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATORS])
def test_others_list_only_the_tokens_they_issued(
    administrator: Membership, tokens_url: str, issue: Issue, api: Api, role: Role
) -> None:
    issue(administrator)
    member = MembershipFactory.create(account=administrator.account, role=role)
    key = issue(member, name="Mine", role=role).key
    assert names(api(key).get(tokens_url)) == ["Mine"]


def test_weak_token_of_an_administrator_lists_only_the_tokens_they_issued(
    administrator: Membership, user: Membership, tokens_url: str, issue: Issue, api: Api
) -> None:
    issue(user)
    key = issue(administrator, name="Weak", role=Role.USERS).key
    assert names(api(key).get(tokens_url)) == ["Weak"]


def test_list_holds_nothing_of_other_accounts(
    admin_api: APIClient, tokens_url: str, stranger: Membership, issue: Issue
) -> None:
    issue(stranger)
    assert names(admin_api.get(tokens_url)) == ["Caller"]


@pytest.mark.both
def test_list_leaves_deleted_tokens_out_and_keeps_expired_ones(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue, now: datetime
) -> None:
    past = now - timedelta(days=9)
    issue(user, name="Expired", at=past, expires_at=now - timedelta(days=1))
    gone = issue(user, name="Deleted", at=past).token
    token_services.delete(token=gone, by=Actor.member(user), at=now)
    listed = admin_api.get(tokens_url).json()
    assert [(each["name"], each["expired"]) for each in listed] == [
        ("Expired", True),
        ("Caller", False),
    ]


@pytest.mark.both
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *((word, ["Gone"]) for word in ("true", "True", "1")),
        *((word, ["Caller"]) for word in ("false", "False", "0", "")),
    ],
)
def test_deleted_chooses_between_deleted_tokens_and_the_rest(
    admin_api: APIClient,
    tokens_url: str,
    user: Membership,
    issue: Issue,
    now: datetime,
    word: str,
    expected: list[str],
) -> None:
    token_services.delete(token=issue(user, name="Gone").token, by=Actor.member(user), at=now)
    assert names(admin_api.get(tokens_url, {"deleted": word})) == expected


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("by", ["id", "name"])
def test_role_filters_by_id_and_by_name(
    admin_api: APIClient,
    administrator: Membership,
    tokens_url: str,
    issue: Issue,
    role: Role,
    by: str,
) -> None:
    APIToken.objects.update(name=Role.ADMINISTRATORS.label)
    for each in Role:
        if each is not Role.ADMINISTRATORS:
            issue(administrator, name=each.label, role=each)
    asked = str(role.value) if by == "id" else role.label
    assert names(admin_api.get(tokens_url, {"role": asked})) == [role.label]


@pytest.mark.both
@pytest.mark.parametrize("role", ["7", "Nobody", "99999999999999999999", "administrators", "-1"])
def test_role_that_does_not_exist_is_nobodys(
    admin_api: APIClient, tokens_url: str, role: str
) -> None:
    assert names(admin_api.get(tokens_url, {"role": role})) == []


@pytest.mark.both
def test_issued_by_filters_by_user_id(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue
) -> None:
    issue(user, name="Of the user")
    assert names(admin_api.get(tokens_url, {"issued_by": user.user_id})) == ["Of the user"]


@pytest.mark.both
def test_not_issued_by_leaves_that_users_tokens_out(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue
) -> None:
    issue(user, name="Of the user")
    assert names(admin_api.get(tokens_url, {"not_issued_by": user.user_id})) == ["Caller"]


@pytest.mark.both
def test_filters_go_together(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, name="Alive")
    token_services.delete(token=issue(user, name="Gone").token, by=Actor.member(user), at=now)
    asked = {"issued_by": str(user.user_id), "deleted": "true", "role": "Users"}
    assert names(admin_api.get(tokens_url, asked)) == ["Gone"]


@pytest.mark.both
@pytest.mark.parametrize("query", ["issued_by", "not_issued_by"])
@pytest.mark.parametrize(
    "user_id", ["9" * 5000, "99999999999999999999", "0", "-1", str(2**63 - 1), str(2**63)]
)
def test_issuer_that_cannot_exist_issued_nothing(
    admin_api: APIClient, tokens_url: str, query: str, user_id: str
) -> None:
    expected = [] if query == "issued_by" else ["Caller"]
    assert names(admin_api.get(tokens_url, {query: user_id})) == expected


@pytest.mark.parametrize(
    ("query", "value"),
    [
        *(
            (name, value)
            for name in ("issued_by", "not_issued_by")
            for value in ("x", "1.5", "NaN", "1e400", "\0", "1,2", "0x1", "1.0", " 1", "007")
        ),
        ("deleted", "maybe"),
        ("deleted", "2"),
        ("deleted", "\0"),
    ],
)
def test_filter_that_makes_no_sense_is_told_by_its_name(
    admin_api: APIClient, tokens_url: str, query: str, value: str
) -> None:
    answer = admin_api.get(tokens_url, {query: value})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query]
    assert answer.json()["message"] == "The request is not valid: see errors."


def test_filter_nobody_knows_is_no_obstacle(admin_api: APIClient, tokens_url: str) -> None:
    assert names(admin_api.get(tokens_url, {"colour": "red"})) == ["Caller"]


@pytest.mark.both
def test_list_costs_the_same_queries_for_any_number_of_tokens(
    admin_api: APIClient,
    administrator: Membership,
    tokens_url: str,
    issue: Issue,
    django_assert_num_queries: Any,
) -> None:
    administrator.account.token_limit = 500
    administrator.account.save()
    admin_api.get(tokens_url)
    for count in (1, 40):
        for _each in range(count):
            issue(MembershipFactory.create(account=administrator.account, role=Role.USERS))
        with django_assert_num_queries(4):  # verify, the caller, which tokens, the tokens
            admin_api.get(tokens_url)


# --- Create ------------------------------------------------------------------------------------


@pytest.mark.both
def test_create_answers_200_with_the_token(
    admin_api: APIClient, tokens_url: str, administrator: Membership, version: str, now: datetime
) -> None:
    asked = {
        "name": "CI",
        "exp_date": "2090-06-30T12:00:00+02:00",
        "client_user": {"role": {"id": 5, "name": "Engineers"}},
        "description": "Builds",
    }
    answer = admin_api.post(tokens_url, asked, format="json")
    assert answer.status_code == 200
    made = answer.json()
    separator = "$" if version == "v1" else "_"
    assert re.fullmatch(rf"{made['id']}{re.escape(separator)}[0-9a-f]{{72}}", made.pop("token"))
    assert INSTANT.fullmatch(made.pop("created"))
    assert made == {
        "id": made["id"],
        "name": "CI",
        "description": "Builds",
        "exp_date": "2090-06-30T10:00:00.000000Z",
        "deleted": False,
        "expired": False,
        "last_usage": "",
        "client_user": {
            "deleted": False,
            "user_id": administrator.user_id,
            "user_name": administrator.user.name,
            "user_email": administrator.user.email,
            "service_account": False,
            "client_id": administrator.account_id,
            "role": {"id": 5, "name": "Engineers"},
        },
        "rotations": 0,
        "rotated": None,
        "old_secret": None,
        "scopes": None,
        "allowed_addresses": [],
    }


def test_created_token_works_at_once(admin_api: APIClient, tokens_url: str, api: Api) -> None:
    token = admin_api.post(tokens_url, NEW, format="json").json()["token"]
    assert api(token).get(tokens_url).status_code == 200


def test_answer_with_the_token_is_not_to_be_stored(admin_api: APIClient, tokens_url: str) -> None:
    answer = admin_api.post(tokens_url, NEW, format="json")
    assert answer["Cache-Control"] == "no-store"


def test_token_is_shown_in_the_answer_to_its_creation_only(
    admin_api: APIClient, tokens_url: str
) -> None:
    made = admin_api.post(tokens_url, NEW, format="json").json()
    secret = made["token"][-72:]
    for url in (tokens_url, f"{tokens_url}/{made['id']}"):
        answer = admin_api.get(url)
        assert '"token"' not in answer.content.decode()
        assert secret not in answer.content.decode()


def test_token_made_by_a_token_belongs_to_its_issuer(
    user_api: APIClient, tokens_url: str, user: Membership
) -> None:
    made = user_api.post(tokens_url, NEW, format="json").json()
    assert made["client_user"]["user_id"] == user.user_id


@pytest.mark.parametrize("role", Role)
def test_empty_client_user_asks_for_the_callers_own_role(
    administrator: Membership, tokens_url: str, issue: Issue, api: Api, role: Role
) -> None:
    caller = api(issue(administrator, role=role).key)
    made = caller.post(tokens_url, {**NEW, "client_user": {}}, format="json").json()
    assert made["client_user"]["role"] == {"id": role.value, "name": role.label}


@pytest.mark.parametrize(
    "role", [{"id": 5}, {"name": "Engineers"}, {"id": 5, "name": "Engineers"}, {"id": "5"}]
)
def test_role_is_named_by_id_or_name_or_both(
    admin_api: APIClient, tokens_url: str, role: dict[str, Any]
) -> None:
    made = admin_api.post(tokens_url, {**NEW, "client_user": {"role": role}}, format="json")
    assert made.json()["client_user"]["role"] == {"id": 5, "name": "Engineers"}


@pytest.mark.parametrize(
    ("role", "named"),
    [
        ({"name": "Kings"}, "Kings"),
        ({"id": 7}, "7"),
        ({"id": 99999999999999999999}, "99999999999999999999"),
        ({"id": 5, "name": "Users"}, "5, Users"),
        ({"id": True}, "True"),
        ({"id": 5.5}, "5.5"),
        ({"id": [5]}, "[5]"),
        ({}, "{}"),
        (5, "5"),
        ("Users", "Users"),
        ([], "[]"),
        (False, "False"),
    ],
)
def test_role_that_does_not_exist_is_told(
    admin_api: APIClient, tokens_url: str, role: object, named: str
) -> None:
    answer = admin_api.post(tokens_url, {**NEW, "client_user": {"role": role}}, format="json")
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "The request is not valid: see errors.",
        "errors": {"client_user": {"role": [f"Invalid role: {named}"]}},
    }
    assert APIToken.objects.count() == 1


def test_role_above_the_callers_is_told(user_api: APIClient, tokens_url: str) -> None:
    asked = {**NEW, "client_user": {"role": {"name": "Administrators"}}}
    answer = user_api.post(tokens_url, asked, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "client_user": {"role": ["Can't create token with role Administrators"]}
    }
    assert APIToken.objects.count() == 1


def test_everything_that_the_form_lacks_is_told(admin_api: APIClient, tokens_url: str) -> None:
    answer = admin_api.post(tokens_url, {}, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "name": ["This field is required."],
        "exp_date": ["This field is required."],
        "client_user": ["This field is required."],
    }


@pytest.mark.both
@pytest.mark.parametrize(
    ("exp_date", "stored"),
    [
        ("2090-01-01T12:00:00Z", "2090-01-01T12:00:00.000000Z"),
        ("2090-01-01T12:00:00z", "2090-01-01T12:00:00.000000Z"),
        ("2090-01-01T12:00:00.5Z", "2090-01-01T12:00:00.500000Z"),
        ("2090-01-01T12:00:00.123456Z", "2090-01-01T12:00:00.123456Z"),
        ("2090-01-01T12:00:00+05:45", "2090-01-01T06:15:00.000000Z"),
        ("2090-01-01T12:00:00-11:00", "2090-01-01T23:00:00.000000Z"),
        ("2090-01-01 12:00:00+00:00", "2090-01-01T12:00:00.000000Z"),
        (None, None),
    ],
)
def test_expiration_is_read_with_any_offset_and_told_in_utc(
    admin_api: APIClient, tokens_url: str, exp_date: str | None, stored: str | None
) -> None:
    made = admin_api.post(tokens_url, {**NEW, "exp_date": exp_date}, format="json")
    assert made.json()["exp_date"] == stored


def test_limit_is_told_with_400_and_never_with_409(
    admin_api: APIClient, administrator: Membership, tokens_url: str
) -> None:
    administrator.account.token_limit = 1
    administrator.account.save()
    answer = admin_api.post(tokens_url, NEW, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "errors": [
            "This account has reached its limit of 1 API tokens. Delete one you no longer need, "
            "then try again."
        ]
    }
    assert APIToken.objects.count() == 1


def test_token_that_ends_creates_none_that_outlives_it(
    administrator: Membership, tokens_url: str, issue: Issue, api: Api, now: datetime
) -> None:
    caller = api(issue(administrator, expires_at=datetime(2090, 1, 1, tzinfo=UTC)).key)
    answer = caller.post(tokens_url, NEW, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "exp_date": [
            "An API token can't create a token that outlives it. Choose a date no later than "
            "2090-01-01T00:00:00Z."
        ]
    }


# --- Get ---------------------------------------------------------------------------------------


def test_get_tells_of_one_token_what_the_list_tells(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue
) -> None:
    token = issue(user).token
    one = admin_api.get(f"{tokens_url}/{token.pk}")
    assert one.status_code == 200
    assert one.json() in admin_api.get(tokens_url).json()


def test_get_tells_of_a_deleted_token(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    token_services.delete(token=token, by=Actor.member(user), at=now)
    assert admin_api.get(f"{tokens_url}/{token.pk}").json()["deleted"] is True


def test_removed_issuer_is_told(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    told = admin_api.get(f"{tokens_url}/{token.pk}").json()["client_user"]
    assert (told["deleted"], told["user_id"]) == (True, user.user_id)


@pytest.mark.both
def test_last_usage_is_told_as_an_instant(admin_api: APIClient, tokens_url: str) -> None:
    (caller,) = admin_api.get(tokens_url).json()
    assert INSTANT.fullmatch(caller["last_usage"])


def test_unnamed_issuer_has_an_empty_name(
    admin_api: APIClient, administrator: Membership, tokens_url: str
) -> None:
    administrator.user.name = ""
    administrator.user.save()
    (caller,) = admin_api.get(tokens_url).json()
    assert caller["client_user"]["user_name"] == ""


# --- Delete ------------------------------------------------------------------------------------


def test_delete_answers_204_with_nothing_and_the_token_stops(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue, api: Api
) -> None:
    token, key = issue(user)
    answer = admin_api.delete(f"{tokens_url}/{token.pk}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert api(key).get(tokens_url).status_code == 401


@pytest.mark.both
def test_delete_of_a_deleted_token_is_idempotent(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue
) -> None:
    token = issue(user).token
    assert admin_api.delete(f"{tokens_url}/{token.pk}").status_code == 204
    first = APIToken.objects.get(pk=token.pk).deleted_at
    assert admin_api.delete(f"{tokens_url}/{token.pk}").status_code == 204
    assert APIToken.objects.get(pk=token.pk).deleted_at == first


def test_weak_token_may_not_delete_a_stronger_one_of_its_own_issuer(
    administrator: Membership, tokens_url: str, issue: Issue, api: Api
) -> None:
    strong = issue(administrator, role=Role.ADMINISTRATORS).token
    weak = api(issue(administrator, role=Role.USERS).key)
    answer = weak.delete(f"{tokens_url}/{strong.pk}")
    assert answer.status_code == 403
    assert answer.json() == {"message": "You do not have permission to delete this API token."}
    assert not APIToken.objects.deleted().exists()


# --- Tenancy -----------------------------------------------------------------------------------

HUGE = [2**31, 2**63 - 1, 2**63, 10**30, 10**100]


@pytest.mark.parametrize("method", ["get", "delete"])
def test_tokens_of_others_are_told_like_tokens_that_do_not_exist(
    user_api: APIClient,
    administrator: Membership,
    stranger: Membership,
    tokens_url: str,
    issue: Issue,
    method: str,
) -> None:
    existing = [issue(administrator).token.pk, issue(stranger).token.pk]
    for token_id in (*existing, 1, 0, 123_456_789, *HUGE):
        answer = getattr(user_api, method)(f"{tokens_url}/{token_id}")
        assert (answer.status_code, answer.json()) == (404, NO_TOKEN)
    assert not APIToken.objects.deleted().exists()


@pytest.mark.parametrize(
    ("method", "below"), [("get", ""), ("post", ""), ("get", "/1"), ("delete", "/1")]
)
def test_other_accounts_are_told_like_accounts_that_do_not_exist(
    admin_api: APIClient, stranger: Membership, version: str, method: str, below: str
) -> None:
    for account_id in (stranger.account_id, 999_999, 0, *HUGE):
        url = f"{VERSIONS[version]}/{account_id}/tokens{below}"
        answer = getattr(admin_api, method)(url, NEW if method == "post" else None, format="json")
        assert (answer.status_code, answer.json()) == (404, NO_ACCOUNT)
    assert APIToken.objects.count() == 1


def test_token_of_another_account_is_not_found_below_ones_own(
    admin_api: APIClient, stranger: Membership, tokens_url: str, issue: Issue
) -> None:
    token = issue(stranger).token
    assert admin_api.delete(f"{tokens_url}/{token.pk}").json() == NO_TOKEN
    assert not APIToken.objects.deleted().exists()


def test_token_works_in_its_own_account_only_for_a_member_of_two(
    administrator: Membership, issue: Issue, api: Api, version: str
) -> None:
    elsewhere = MembershipFactory.create(user=administrator.user)
    key = issue(administrator, role=Role.ADMINISTRATORS).key
    answer = api(key).get(f"{VERSIONS[version]}/{elsewhere.account_id}/tokens")
    assert (answer.status_code, answer.json()) == (404, NO_ACCOUNT)


def test_filter_by_an_issuer_of_another_account_finds_nothing(
    admin_api: APIClient, stranger: Membership, tokens_url: str, issue: Issue
) -> None:
    issue(stranger)
    assert names(admin_api.get(tokens_url, {"issued_by": stranger.user_id})) == []


# --- The wire ----------------------------------------------------------------------------------


def test_path_with_a_trailing_slash_is_not_found_and_not_redirected(
    admin_api: APIClient, tokens_url: str
) -> None:
    url = f"{tokens_url}/"
    for answer in (admin_api.get(url), admin_api.post(url, NEW, format="json")):
        assert (answer.status_code, answer.json()) == (404, {"message": "Not found."})


def test_content_type_without_a_body_is_no_obstacle(
    admin_api: APIClient, tokens_url: str, user: Membership, issue: Issue
) -> None:
    kind = "application/json"
    token = issue(user).token
    one = f"{tokens_url}/{token.pk}"
    assert admin_api.generic("GET", tokens_url, "", content_type=kind).status_code == 200
    assert admin_api.generic("GET", one, "", content_type=kind).status_code == 200
    assert admin_api.generic("DELETE", one, "", content_type=kind).status_code == 204


def test_call_that_does_not_exist_is_405(admin_api: APIClient, tokens_url: str) -> None:
    answer = admin_api.put(tokens_url, NEW, format="json")
    assert (answer.status_code, answer.json()) == (405, {"message": 'Method "PUT" not allowed.'})


def test_api_sets_no_cookie_and_needs_none(admin_api: APIClient, tokens_url: str) -> None:
    answer = admin_api.post(tokens_url, NEW, format="json")
    assert not answer.cookies
