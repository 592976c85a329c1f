"""The caller and their account, as the wire has them."""

from datetime import datetime

import pytest

from accounts.models import Membership
from accounts.roles import Role
from tests.conftest import Api, Issue
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


def user_as_json(member: Membership) -> dict[str, object]:
    return {
        "id": member.user_id,
        "email": member.user.email,
        "name": member.user.name,
        "lang": "en",
        "phone": "",
        "company": member.account.name,
        "reseller": 0,
        "client": member.account_id,
        "deleted": False,
        "groups": [{"id": member.role, "name": Role(member.role).label}],
        "activated": True,
        "sso_auth": False,
        "two_fa": False,
        "auth_types": ["password"],
        "user_type": "common",
        "is_active": True,
    }


def test_user_learns_about_themselves(user: Membership, issue: Issue, api: Api) -> None:
    answer = api(issue(user).key).get("/iam/users/me")
    assert answer.status_code == 200
    assert answer.json() == {
        **user_as_json(user),
        "client_and_roles": [
            {
                "client_id": user.account_id,
                "client_company_name": user.account.name,
                "user_id": user.user_id,
                "user_roles": ["2"],
            }
        ],
    }


def test_token_tells_nothing_of_its_issuers_other_accounts(
    user: Membership, issue: Issue, api: Api
) -> None:
    elsewhere = MembershipFactory.create(user=user.user, account__name="Second Ltd.")
    told = api(issue(user).key).get("/iam/users/me")
    assert [each["client_id"] for each in told.json()["client_and_roles"]] == [user.account_id]
    assert elsewhere.account.name not in told.content.decode()


def test_account_is_told(administrator: Membership, issue: Issue, api: Api) -> None:
    key = issue(administrator, role=Role.ADMINISTRATORS).key
    answer = api(key).get("/iam/clients/me")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": administrator.account_id,
        "email": administrator.user.email,
        "name": administrator.user.name,
        "status": "active",
        "companyName": "Example Inc.",
        "deleted": False,
        "is_test": False,
        "has_active_admin": True,
        "currentUser": administrator.user_id,
        "capabilities": [],
        "serviceStatuses": {},
        "paidFeatures": {},
        "freeFeatures": {},
        "entryBaseDomain": None,
        "bill_type": "common",
        "users": [user_as_json(administrator)],
    }


def test_administrator_is_told_all_users_of_the_account(
    administrator: Membership,
    user: Membership,
    stranger: Membership,
    issue: Issue,
    api: Api,
    now: datetime,
) -> None:
    MembershipFactory.create(account=administrator.account, removed_at=now)
    key = issue(administrator, role=Role.ADMINISTRATORS).key
    users = api(key).get("/iam/clients/me").json()["users"]
    assert [each["id"] for each in users] == [administrator.user_id, user.user_id]


def test_others_are_told_themselves_only(
    administrator: Membership, user: Membership, issue: Issue, api: Api
) -> None:
    told = api(issue(user).key).get("/iam/clients/me").json()
    assert [each["id"] for each in told["users"]] == [user.user_id]


def test_weak_token_of_an_administrator_is_told_that_one_only(
    administrator: Membership, user: Membership, issue: Issue, api: Api
) -> None:
    told = api(issue(administrator, role=Role.USERS).key).get("/iam/clients/me").json()
    assert [each["id"] for each in told["users"]] == [administrator.user_id]


def test_account_without_an_administrator_says_so(user: Membership, issue: Issue, api: Api) -> None:
    told = api(issue(user).key).get("/iam/clients/me").json()
    assert (told["has_active_admin"], told["email"], told["name"]) == (False, "", "")


def test_token_of_a_member_of_two_accounts_is_told_its_own(
    user: Membership, issue: Issue, api: Api
) -> None:
    elsewhere = MembershipFactory.create(user=user.user)
    told = api(issue(elsewhere).key).get("/iam/clients/me").json()
    assert told["id"] == elsewhere.account_id
