"""Callers of the API: by API token, and in person."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from accounts.models import Membership
from accounts.roles import Role
from tests.accounts.jwt.conftest import log_in, with_access
from tests.conftest import Api, Issue

InPerson = Callable[[Membership], APIClient]


@pytest.fixture
def as_administrator(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    return api(issue(administrator, role=Role.ADMINISTRATORS).key)


@pytest.fixture
def as_user(user: Membership, issue: Issue, api: Api) -> APIClient:
    return api(issue(user).key)


@pytest.fixture
def in_person() -> InPerson:
    """`in_person(member)`: a client with an access token of theirs."""

    def act(member: Membership) -> APIClient:
        return with_access(log_in(member.user.email).json()["access"])

    return act
